"""Streams through the real web server, with a real Redis and a real worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.webapp.running import Running, until
from webapp import pools
from webapp.jobs.fold import changing


def _open(running: Running, path: str, **headers: str) -> Any:
    given = {"Authorization": f"Bearer {running.token}", **headers}
    return urlopen(Request(f"{running.url}/api/v1{path}", headers=given), timeout=60)


def _messages(stream: Any) -> Iterator[tuple[str, Any, datetime]]:
    """Give the name and data of each message, and when it came."""
    event = ""
    for line in stream:
        name, _, text = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            event = text
        elif name == "data":
            yield event, json.loads(text), datetime.now(UTC)


def _events(running: Running, job_id: str) -> Any:
    return _open(running, f"/jobs/{job_id}/events", Accept="text/event-stream")


def test_a_job_is_followed_live_from_its_queue_to_its_end(running_service: Running) -> None:
    gate = running_service.home / "gate"
    command = f"echo begins; until test -e {gate}; do sleep 0.05; done; echo ends"
    job_id = running_service.submit(params={"command": command})
    with (
        _events(running_service, job_id) as events,
        _open(running_service, f"/jobs/{job_id}/log?follow=1&stage=second") as log,
    ):
        text = _messages(log)
        assert next(text)[1]["text"] == "begins\n"  # while the stage runs
        gate.touch()
        rest = list(text)
        assert [data.get("text") for name, data, _ in rest if name == "log"] == ["ends\n"]
        assert rest[-1][:2] == ("end", {"status": "succeeded"})
        found = list(_messages(events))
    assert [data["n"] for name, data, _ in found if name != "end"] == list(range(1, len(found)))
    assert found[-1][:2] == ("end", {"status": "succeeded"})
    delays = [
        (came - datetime.fromisoformat(data["time"])).total_seconds()
        for name, data, came in found
        if data.get("stage") == "third"
    ]
    assert delays
    assert max(delays) < 2, delays  # pushed, not found at a heartbeat


def test_streams_leave_threads_for_others_and_give_their_places_back(
    idle_service: Running,
) -> None:
    idle_service.up(slots=1, JOBRUNNER_WEB_THREADS="4")
    with idle_service.service.db.write() as session:
        pools.pause(session, "instance", "default", "test")
    job_id = idle_service.submit()
    with ExitStack() as stack:
        opened = [stack.enter_context(_events(idle_service, job_id)) for _ in range(2)]
        for stream in opened:
            assert next(_messages(stream))[1]["n"] == 1
        with pytest.raises(HTTPError) as refused:
            _events(idle_service, job_id)
        assert refused.value.code == 503
        assert refused.value.headers["Retry-After"]
        with _open(idle_service, f"/jobs/{job_id}") as page:  # a thread is free
            assert json.load(page)["waiting"]["code"] == "instance_paused"
        opened[0].close()

        def has_place() -> bool:
            # what is sent to a client that has gone away tells the server so
            with changing(idle_service.service, job_id) as (_, _, directory):
                directory.events.append("note", source="test", message="news")
            try:
                stack.enter_context(_events(idle_service, job_id))
            except HTTPError:
                return False
            return True

        until(has_place, "the place is free")
