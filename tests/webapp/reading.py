"""What tests of the reading side of the API share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from werkzeug.test import TestResponse

from runner import launch
from tests.webapp.writing import Api
from webapp import jobs

SSE = {"Accept": "text/event-stream"}


def run(api: Api, job_id: str) -> str:
    """Run an attempt of a job as its worker would; give its outcome."""
    directory = api.service.place(api.row(job_id))
    prepared = launch.reopen(api.service.home, directory)
    outcome = prepared.start(prepared.options(cores=1)).wait()
    jobs.take_over(api.service, job_id)
    jobs.finished(api.service, job_id)
    assert outcome is not None
    return outcome


def say(api: Api, job_id: str, kind: str, **data: Any) -> None:
    """Append an event to a job's directory and take it over."""
    data = {"source": "test", **data}
    api.service.directory(api.row(job_id)).events.append(kind, **data)
    jobs.take_over(api.service, job_id)


def get(api: Api, path: str, headers: dict[str, str], **more: str) -> TestResponse:
    """Ask for a path below the API's prefix."""
    return api.client.get(f"/api/v1{path}", headers={**headers, **more})


def messages(answer: TestResponse) -> Iterator[dict[str, Any]]:
    """Give the messages of a stream as they come: event, id and data; comments as such."""
    text = ""
    for piece in answer.iter_encoded():
        text += piece.decode()
        while "\n\n" in text:
            block, _, text = text.partition("\n\n")
            fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
            if block.startswith(":"):
                fields["comment"] = block
            yield {**fields, "data": json.loads(fields["data"]) if "data" in fields else None}
