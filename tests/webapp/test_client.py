"""The Python client: what it sends again, what it makes of answers, and what it never does."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from webapp.client import ApiError, Client, Incomplete, Job, ServerAway
from webapp.client.connection import normal
from webapp.client.sse import messages

JOB = {"id": "J1", "type": "toy", "status": "queued", "of a later version": {"a": 1}}
Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers as the test says, one after the other; the last one stays."""

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, document: Any = None, **headers: str) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _serve(self) -> None:
        server: Any = self.server
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        server.seen.append((self.command, self.path, dict(self.headers), body))
        answers = server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self)

    do_GET = do_POST = _serve


def ok(document: Any = JOB, **headers: str) -> Answer:
    return lambda handler: handler.reply(200, document, **headers)


def problem(status: int, code: str, **headers: str) -> Answer:
    body = {"status": status, "code": code, "detail": f"It is {code}.", "problems": []}
    return lambda handler: handler.reply(status, body, X_Request_ID="r-1", **headers)


def cut(handler: Handler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def half(handler: Handler) -> None:
    """Promise more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id":')
    handler.close_connection = True


@pytest.fixture
def server() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.seen, server.answers = [], [ok()]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(server: Any) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{server.server_port}", "jr_a_b", patience=20) as client:
        yield client


@pytest.mark.parametrize(
    "trouble",
    [
        cut,
        half,
        problem(502, "error"),
        problem(503, "database_away", Retry_After="0"),
        problem(504, "error"),
        problem(429, "too_many_requests", Retry_After="0"),
    ],
)
def test_what_only_reads_is_asked_again(server: Any, client: Client, trouble: Answer) -> None:
    server.answers = [trouble, trouble, ok()]
    assert client.job("J1").id == "J1"
    assert len(server.seen) == 3


def test_a_submission_is_sent_again_whole_with_the_same_key(
    server: Any, client: Client, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 2000
    (tmp_path / "words.txt").write_bytes(content)
    server.answers = [cut, problem(503, "unavailable", Retry_After="0"), ok()]
    told: list[tuple[int, int]] = []
    inputs = {"text": tmp_path / "words.txt"}
    job = client.submit("toy", inputs, {"word": "x"}, progress=lambda *n: told.append(n))
    assert job.id == "J1"
    assert len({head["Idempotency-Key"] for _, _, head, _ in server.seen}) == 1
    for _, _, _, body in server.seen:
        assert body.index(b'name="request"') < body.index(b'name="text"')
        assert content in body
    assert told[-1] == (len(content), len(content))
    assert [sent for sent, _ in told].count(len(content)) >= 3
    client.submit("toy")
    keys = {head["Idempotency-Key"] for _, _, head, _ in server.seen}
    assert len(keys) == 2  # one for each call


def test_what_may_have_been_done_is_not_asked_twice(server: Any, client: Client) -> None:
    server.answers = [cut]
    with pytest.raises(ServerAway):
        client.rerun("J1")
    assert len(server.seen) == 1
    server.answers = [problem(502, "error")]
    with pytest.raises(ApiError):
        client.cancel("J1")
    assert len(server.seen) == 2
    server.answers = [problem(503, "unavailable", Retry_After="0"), ok()]
    assert client.rerun("J1").id == "J1"  # a service that says so has done nothing


def test_a_refusal_has_all_that_the_service_says(server: Any, client: Client) -> None:
    problems = [{"pointer": "/params/word", "message": "is too long"}]
    body = {"code": "invalid_request", "detail": "Wrong in one place.", "problems": problems}
    server.answers = [lambda handler: handler.reply(422, {**body, "request_id": "r-7"})]
    with pytest.raises(ApiError) as refused:
        client.submit("toy")
    error = refused.value
    assert (error.status, error.code, error.request_id) == (422, "invalid_request", "r-7")
    assert error.problems == problems
    assert error.message == "Wrong in one place.\n  /params/word: is too long"
    assert len(server.seen) == 1


def test_patience_ends(server: Any) -> None:
    heard: list[str] = []
    url = f"http://127.0.0.1:{server.server_port}"
    server.answers = [problem(503, "unavailable", Retry_After="0")]
    hasty = Client(url, "t", patience=0.5, on_away=heard.append)
    with hasty, pytest.raises(ApiError, match="It is unavailable"):
        hasty.job("J1")
    assert heard
    assert "503 unavailable" in heard[0]
    server.answers = [problem(503, "unavailable", Retry_After="3600")]
    before = len(server.seen)
    with Client(url, "t", patience=0.5) as client, pytest.raises(ApiError):
        client.job("J1")
    assert len(server.seen) == before + 1
    nobody = Client("http://127.0.0.1:1", "t", patience=0)
    with nobody, pytest.raises(ServerAway, match=r"http://127\.0\.0\.1:1 cannot be reached"):
        nobody.job("J1")


def test_something_else_than_the_service_is_said_to_be_that(server: Any, client: Client) -> None:
    server.answers = [lambda handler: handler.reply(404, b"<html>nginx</html>")]
    with pytest.raises(ApiError, match="and not as the service does"):
        client.job("J1")
    server.answers = [lambda handler: handler.reply(301, b"", Location="http://elsewhere.test/")]
    with pytest.raises(ApiError, match="answered 301"):
        client.job("J1")  # a token follows no redirect
    server.answers = [lambda handler: handler.reply(200, b"<html>login</html>")]
    with pytest.raises(Incomplete, match="no JSON"):
        client.job("J1")


def test_answers_of_a_later_version_are_understood(server: Any, client: Client) -> None:
    document = {**JOB, "stages": [{"name": "a", "colour": "red"}], "waiting": None, "tags": ["x"]}
    document["error"] = {"code": "c", "message": "m", "hint": "h"}
    server.answers = [ok(document)]
    job = client.job("J1")
    assert (job.stages[0].name, job.tags, job.waiting) == ("a", ("x",), None)
    assert job.error is not None
    assert job.document["of a later version"] == {"a": 1}
    assert Job.of(JOB) == Job("J1", "toy", "queued")


def test_pages_are_gone_through(server: Any, client: Client) -> None:
    server.answers = [
        ok({"items": [JOB, JOB], "next": "c2"}),
        ok({"items": [JOB], "next": None}),
    ]
    found = list(client.jobs(status=("queued", "running"), tag="a b", user=None))
    assert len(found) == 3
    assert "status=queued%2Crunning" in server.seen[0][1]
    assert "user" not in server.seen[0][1]
    assert server.seen[1][1].endswith("&cursor=c2")


def _event(n: int, status: str = "running") -> dict[str, Any]:
    return {"n": n, "time": "2026-11-22T00:00:00Z", "kind": "status", "status": status}


def _stream(*events: int, end: bool = False) -> Answer:
    text = "retry: 2000\n\n: still here\n\n"
    text += "".join(f"id: {n}\nevent: status\ndata: {json.dumps(_event(n))}\n\n" for n in events)
    text += 'event: end\ndata: {"status": "succeeded"}\n\n' if end else "id: 99\ndata: {"
    return lambda handler: handler.reply(200, text.encode(), Content_Type="text/event-stream")


def test_events_go_on_where_a_stream_broke_off(server: Any, client: Client) -> None:
    server.answers = [_stream(1, 2), cut, problem(503, "unavailable", Retry_After="0"),
                      _stream(3), _stream(4, end=True)]  # fmt: skip
    assert [event.n for event in client.events("J1")] == [1, 2, 3, 4]
    asked = [head["Last-Event-ID"] for _, _, head, _ in server.seen]
    assert asked == ["0", "2", "2", "2", "3"]


def test_patience_does_not_end_while_the_server_is_there_and_the_job_is_silent(
    server: Any, client: Client
) -> None:
    def silent(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        for _ in range(15):
            time.sleep(0.1)
            handler.wfile.write(b": still here\n\n")
        handler.close_connection = True

    client.patience = 1.0
    server.answers = [_stream(1), silent, silent, _stream(2, end=True)]
    assert [event.n for event in client.events("J1")] == [1, 2]
    server.answers = [_stream()]  # it breaks off at once, again and again
    with pytest.raises(Incomplete):
        list(client.events("J1"))


def test_where_there_is_no_place_for_a_stream_it_asks_from_time_to_time(
    server: Any, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from webapp.client import following

    monkeypatch.setattr(following.poll, "__defaults__", (0.0,))
    page = {"items": [_event(1), _event(2)], "next": 2, "more": False}
    last = {"items": [_event(3, "succeeded")], "next": 3, "more": False}
    server.answers = [
        problem(503, "too_many_streams", Retry_After="5"),
        ok({**JOB, "status": "running"}), ok(page),
        ok({**JOB, "status": "succeeded"}), ok(last),
    ]  # fmt: skip
    assert [event.n for event in client.events("J1")] == [1, 2, 3]
    assert server.seen[-1][1].endswith("since=2")


def test_a_download_is_whole_or_not_there(server: Any, client: Client, tmp_path: Path) -> None:
    content = b"content" * 1000
    etag = f'"{hashlib.sha256(content).hexdigest()}"'
    target = tmp_path / "file"
    server.answers = [half, ok(content, ETag=etag)]
    assert client.download("J1", "results/a b.txt", target) == target
    assert target.read_bytes() == content
    assert server.seen[0][1] == "/api/v1/jobs/J1/files/results/a%20b.txt"
    server.answers = [ok(b"other", ETag=etag)]
    target.unlink()
    with Client(client.server, "t", patience=0.5) as hasty, pytest.raises(Incomplete):
        hasty.download("J1", "results/a.txt", target)
    assert list(tmp_path.iterdir()) == []


def test_names_cannot_lead_to_other_routes(server: Any, client: Client) -> None:
    client.job("../queue?x")
    assert server.seen[0][1] == "/api/v1/jobs/..%2Fqueue%3Fx"


def test_addresses_are_written_in_one_way() -> None:
    for text in ("https://Jobs.example.org", "https://jobs.example.org/api/v1/"):
        assert normal(text) == "https://jobs.example.org"
    for wrong in ("jobs.example.org", "ftp://x", "https://", "https://me:word@x", "http://x:y"):
        with pytest.raises(ApiError, match="is no address"):
            normal(wrong)


def test_messages_of_several_lines_and_comments() -> None:
    lines = ["data: a", "data: b", "", ": c", "", "event: e", "id:5", "data:", "", "data: cut"]
    found = list(messages(lines))
    assert [(m.event, m.data, m.id) for m in found] == [("message", "a\nb", None), ("e", "", "5")]


def test_the_client_imports_httpx_and_nothing_of_the_service() -> None:
    code = """if True:
        import sys
        import webapp.client
        own = sorted(n for n in sys.modules if n.startswith(("webapp", "runner")))
        others = {"flask", "sqlalchemy", "pydantic", "redis", "rq", "yaml"}
        print(own, others & set(sys.modules))
    """
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    own, others = answer.stdout.strip().rsplit("] ", 1)
    assert others == "set()"
    names = set(eval(own + "]"))
    assert {n for n in names if not n.startswith("webapp.client")} == {
        "webapp", "runner", "runner.errors",
    }  # fmt: skip
