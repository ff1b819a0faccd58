"""The job runner's API, as this application needs it: jobs of one type, for the user who asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import quote

import httpx


class Refused(Exception):
    """An answer that is an error, for the page."""

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: str | None) -> None:
        super().__init__(problem.get("detail"))
        self.status = status
        self.problem = problem
        self.retry_after = retry_after


@dataclass
class File:
    """A file that the user sends; it is passed on as it is read."""

    input: str
    name: str
    stream: BinaryIO


class Runner:
    """Asks the job runner with the token of this application, which no browser ever sees.

    The token is one made with `--acting`: it names the user with each request, whose jobs they are.
    """

    def __init__(self, url: str, token: str, job_type: str, instance: str) -> None:
        self.job_type = job_type
        self.instance = instance
        self._client = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(30, read=120),
        )

    def type(self, user: str) -> Any:
        """Give what the job type needs: inputs, and a JSON Schema of its parameters."""
        path = f"/types/{quote(self.job_type, safe='')}"
        return self._ask("GET", path, user, params={"instance": self.instance})

    def jobs(self, user: str) -> Any:
        """Give the newest jobs of the user."""
        given = {"type": self.job_type, "instance": self.instance, "user": user}
        return self._ask("GET", "/jobs", user, params={**given, "sort": "-submitted", "limit": 20})

    def job(self, user: str, job_id: str) -> Any:
        """Give one job in full, if it is one of the user and of our type."""
        job = self._ask("GET", f"/jobs/{quote(job_id, safe='')}", user)
        if (job["type"], job["user"]) != (self.job_type, user):
            raise Refused(404, {"detail": f"There is no job {job_id}.", "problems": []}, None)
        return job

    def submit(self, user: str, key: str, params: Mapping[str, Any], files: list[File]) -> Any:
        """Submit a job; the same `key` never makes a second one."""
        request = {"type": self.job_type, "instance": self.instance, "params": params}
        # the document first: a file that is too large is then refused while it is being sent
        form: list[Any] = [("request", (None, json.dumps(request), "application/json"))]
        form += [(f.input, (f.name, f.stream, "application/octet-stream")) for f in files]
        headers = {"Idempotency-Key": key}
        return self._ask("POST", "/jobs", user, files=form, headers=headers)

    def _ask(self, method: str, path: str, user: str, **options: Any) -> Any:
        headers = {**options.pop("headers", {}), "X-Jobrunner-User": user}
        try:
            answer = self._client.request(method, path, headers=headers, **options)
        except httpx.TransportError:
            away = {"detail": "The job runner does not answer. Try again.", "problems": []}
            raise Refused(503, away, "5") from None
        if answer.is_success:
            return answer.json()
        try:
            problem = answer.json()
        except ValueError:  # from a proxy in between
            problem = {"detail": f"The job runner answers {answer.status_code}.", "problems": []}
        raise Refused(answer.status_code, problem, answer.headers.get("Retry-After"))
