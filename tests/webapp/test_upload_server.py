"""Uploads to a real web server, over real connections that are cut, too slow or too much."""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.webapp.writing import DOCUMENT, Api, form

LIMIT = 60_000_000


class Server:
    """``jobrunner web`` for the home of `api`."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.token = api.token()["Authorization"]
        self.socket = socket.create_server(("127.0.0.1", 0))
        environment = {
            **os.environ,
            "JOBRUNNER_HOME": str(api.home),
            "JOBRUNNER_DATABASE_URL": api.service.settings.database_url,
            "JOBRUNNER_REDIS_URL": api.service.settings.redis_url,
            "JOBRUNNER_DISK_RESERVE": "0",
            "JOBRUNNER_UPLOAD_LIMIT": str(LIMIT),
        }
        number = self.socket.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "webapp.cli.web", "--fd", str(number)],
            pass_fds=[number],
            env=environment,
        )

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.socket.getsockname(), timeout=30)

    def begin(self, kind: str, **headers: str) -> http.client.HTTPConnection:
        """Send the head of a submission."""
        connection = self.connection()
        connection.putrequest("POST", "/api/v1/jobs")
        for name, value in {"Authorization": self.token, "Content-Type": kind, **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        return connection

    def files(self) -> list[Path]:  # what is being received
        return [path for path in (self.api.home / "uploads").rglob("*") if path.is_file()]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.socket.close()


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


@pytest.fixture
def server(api: Api) -> Iterator[Server]:
    server = Server(api)
    yield server
    server.stop()


def _form(size: int) -> tuple[bytes, str]:
    content = io.BytesIO(os.urandom(size))
    # a type that is not known: no limit of an input stands in the way of what is tested
    return form([("request", json.dumps({"type": "big"})), ("text", (content, "a.txt"))])


def _clean(server: Server) -> None:
    uploads = server.api.home / "uploads"
    until(lambda: not uploads.exists() or not list(uploads.iterdir()))
    assert (server.api.count(), server.api.left_behind()) == (0, [])


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_disconnects_leaves_nothing(server: Server, chunked: bool) -> None:
    body, kind = _form(20_000_000)
    how = {"Transfer_Encoding": "chunked"} if chunked else {"Content_Length": str(len(body))}
    connection = server.begin(kind, **how)
    half = body[: len(body) // 2]
    connection.send(b"%x\r\n%s\r\n" % (len(half), half) if chunked else half)
    until(lambda: any(path.stat().st_size > 5_000_000 for path in server.files()))
    connection.close()
    _clean(server)


def test_a_client_that_disconnects_before_the_answer_leaves_a_whole_job(server: Server) -> None:
    parts = [("request", json.dumps(DOCUMENT)), ("text", (io.BytesIO(b"x"), "a.txt"))]
    body, kind = form(parts)
    connection = server.begin(kind, Content_Length=str(len(body)))
    connection.send(body)
    connection.close()
    until(lambda: server.api.count() == 1)
    (found,) = (server.api.home / "jobs").glob("*/*/*/*/job.yaml")
    assert (found.parent / "input" / "a.txt").read_bytes() == b"x"


def test_too_long_a_body_is_refused_before_it_is_sent(server: Server) -> None:
    connection = server.begin("multipart/form-data; boundary=x", Content_Length=str(LIMIT + 1))
    answer = connection.getresponse()
    assert (answer.status, answer.headers.get_content_type()) == (413, "application/problem+json")
    assert json.loads(answer.read())["code"] == "too_large"
    connection.close()
    _clean(server)


def test_a_client_that_sends_all_before_it_listens_hears_why_it_was_refused(
    server: Server,
) -> None:
    for size, document, status, pointer in (
        (LIMIT + 1, DOCUMENT, 413, None),  # from Content-Length
        (30_000_000, DOCUMENT, 413, "/inputs/text"),  # from the job type
    ):
        content = io.BytesIO(os.urandom(size))
        body, kind = form([("request", json.dumps(document)), ("text", (content, "a.txt"))])
        connection = server.connection()
        headers = {"Authorization": server.token, "Content-Type": kind}
        connection.request("POST", "/api/v1/jobs", body=body, headers=headers)
        answer = connection.getresponse()
        assert answer.status == status
        problems = json.loads(answer.read())["problems"]
        assert [found["pointer"] for found in problems] == ([pointer] if pointer else [])
        connection.close()
    _clean(server)


def test_a_stranger_uploads_nothing(server: Server) -> None:
    server.token = "Bearer jr_0_0"
    connection = server.begin("multipart/form-data; boundary=x", Content_Length="50000000")
    assert connection.getresponse().status == 401
    connection.close()
    assert server.files() == []
