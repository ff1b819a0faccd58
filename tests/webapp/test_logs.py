"""The log: one JSON object a line, each with the ids of what it is about."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.webapp.running import Running, until
from tests.webapp.worlds import add_worker
from webapp import jobs, logs, tasks
from webapp.admission import admit
from webapp.cli.logs import set_up_logs

_SYSTEM_LOGGERS = (None, "webapp", "rq.worker", "gunicorn.error", "py.warnings")


@pytest.fixture
def stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], str]]:
    """What this process writes to stderr; its loggers are as before afterwards."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    before = {n: logging.getLogger(n) for n in _SYSTEM_LOGGERS}
    kept = {n: (g.level, g.handlers[:], g.filters[:], g.propagate) for n, g in before.items()}
    yield lambda: capsys.readouterr().err
    logs.tell_nothing()
    logging.captureWarnings(False)
    for name, (level, handlers, filters, propagate) in kept.items():
        before[name].handlers[:], before[name].filters[:] = handlers, filters
        before[name].setLevel(level)
        before[name].propagate = propagate


def lines(stderr: Callable[[], str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stderr().splitlines()]


def test_a_line_is_one_object_whatever_is_said(stderr: Callable[[], str]) -> None:
    set_up_logs("INFO", "json")
    logging.getLogger("webapp.x").info("two\nlines, %s", 'a "quote" and \N{SNOWMAN}')
    (line,) = lines(stderr)
    assert line["message"] == 'two\nlines, a "quote" and \N{SNOWMAN}'
    assert (line["level"], line["logger"], line["pid"]) == ("INFO", "webapp.x", os.getpid())
    assert line["time"].endswith("Z")
    assert "exception" not in line


def test_a_traceback_is_a_field_of_its_line(stderr: Callable[[], str]) -> None:
    set_up_logs("INFO", "json")
    try:
        raise ValueError("what went wrong")
    except ValueError:
        logging.getLogger("webapp").exception("failed")
    (line,) = lines(stderr)
    assert line["message"] == "failed"
    assert line["exception"].startswith("Traceback")
    assert "what went wrong" in line["exception"]


def test_the_death_of_a_process_is_a_line_too(stderr: Callable[[], str]) -> None:
    set_up_logs("INFO", "json")
    error = RuntimeError("unforeseen")
    sys.excepthook(RuntimeError, error, None)
    (line,) = lines(stderr)
    assert (line["level"], "unforeseen" in line["exception"]) == ("CRITICAL", True)


def test_ids_are_in_all_lines_of_their_thread_until_taken_back(stderr: Callable[[], str]) -> None:
    set_up_logs("INFO", "json")
    log = logging.getLogger("webapp")

    def other() -> None:
        log.info("of another thread")

    logs.tell(job="J", worker="w")
    logs.tell(attempt=2)
    log.info("of the job")
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    logs.tell_nothing()
    log.info("of nothing")
    ids = [{name: line[name] for name in logs.IDS if name in line} for line in lines(stderr)]
    assert ids == [{"job": "J", "worker": "w", "attempt": 2}, {}, {}]


def test_text_looks_as_ever(stderr: Callable[[], str]) -> None:
    set_up_logs("INFO", "text")
    logs.tell(job="J")
    logging.getLogger("webapp.x").info("said")
    assert stderr().rstrip().endswith(" INFO webapp.x: said")
    assert not logs.are_json()


@pytest.mark.parametrize(("terminal", "form"), [(True, "text"), (False, "json")])
def test_text_is_for_terminals_unless_told_otherwise(
    stderr: Callable[[], str], monkeypatch: pytest.MonkeyPatch, terminal: bool, form: str
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    set_up_logs("INFO", "auto")
    assert logs.are_json() == (form == "json")


def test_every_process_of_a_service_writes_json_with_the_ids_of_what_it_does(
    idle_service: Running,
) -> None:
    idle_service.up(JOBRUNNER_LOG_LEVEL="DEBUG", JOBRUNNER_LOG_FORMAT="json")
    output = idle_service.output
    job_id = idle_service.submit(params={"command": "sleep 60"})
    idle_service.until_running(job_id)
    headers = {"Authorization": f"Bearer {idle_service.token}", "X-Request-ID": "my-own-id"}
    with urlopen(Request(f"{idle_service.url}/api/v1/jobs/{job_id}", headers=headers)) as answer:
        assert answer.headers["X-Request-ID"] == "my-own-id"
    os.kill(idle_service.horse(job_id).pid, signal.SIGKILL)
    web = idle_service.web()
    for process in web.children(recursive=True):
        process.kill()

    def of(logger: str) -> list[dict[str, Any]]:
        return [found for found in _said(output) if found["logger"] == logger]

    until(lambda: of("gunicorn.error"), "gunicorn says that a process was killed")
    until(lambda: of("webapp.worker.slot"), "the slot says that the horse was killed")
    path = idle_service.service.path(idle_service.row(job_id)) / "logs" / "job.log"
    until(lambda: "rule second" in path.read_text(), "the log of the job")
    assert "snakemake.logging" not in path.read_text(), "that is not for the service's log"
    (line,) = (found for found in of("webapp.api.access") if found["request_id"] == "my-own-id")
    assert (line["method"], line["status"]) == ("GET", 200)
    assert line["path"] == f"/api/v1/jobs/{job_id}"
    assert 0 < line["ms"] < 60_000


def _said(output: Path) -> list[dict[str, Any]]:
    """Read what is after the greeting, all of it JSON."""
    text = output.read_text().partition("Ctrl-C ends it")[2].partition("\n")[2]
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def test_what_a_worker_says_of_an_attempt_has_its_ids(
    idle_service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    # no `capsys`: Snakemake keeps the stdout that it finds when it is imported
    stream, log = io.StringIO(), logging.Logger("test")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    log.addHandler(handler)
    service = idle_service.service
    worker = add_worker(service)
    job_id = idle_service.submit("trivial")
    admit(service)
    tasks.prepare(service, worker)
    for name in ("claim", "take_over", "finished"):
        monkeypatch.setattr(jobs, name, _noisy(log, name, getattr(jobs, name)))
    try:
        tasks.run(job_id, idle_service.row(job_id).fence)
    finally:
        logs.tell_nothing()
    assert idle_service.row(job_id).status == "succeeded"
    said = {line["message"]: line for line in map(json.loads, stream.getvalue().splitlines())}
    ids = {name: [line.get(i) for i in ("job", "worker", "attempt")] for name, line in said.items()}
    assert ids["claim"] == [job_id, worker, None]
    assert ids["finished"] == [job_id, worker, 1]


def _noisy(log: logging.Logger, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that says its name before it does its work."""

    def say_and_do(*given: Any) -> Any:
        log.info(name)
        return function(*given)

    return say_and_do
