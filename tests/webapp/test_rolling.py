"""A new version takes over while everybody works: no request fails, no job is interrupted."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from functools import partial

import psutil
import pytest
from sqlalchemy import select, text

from tests.webapp.hammer import hammering
from tests.webapp.running import ROOT, Running, assert_exactly_once, until
from webapp.models import Worker
from webapp.pools import living


def _servers(running: Running, number: int = -1) -> set[int]:
    """The first process of each web server that is there."""
    found = set()
    with suppress(psutil.Error):
        for child in psutil.Process(running.processes[number].pid).children():
            with suppress(psutil.Error):
                if "webapp.cli.web" in child.cmdline():
                    found.add(child.pid)
    return found


def _workers(running: Running) -> set[str]:
    with running.service.db.read() as session:
        return {worker.id for worker in living(session, running.service.settings)}


def _renewed(running: Running, process: subprocess.Popen[str]) -> None:
    """Send SIGHUP to the whole service and wait until all of it is new."""
    servers, workers = _servers(running), _workers(running)
    process.send_signal(signal.SIGHUP)

    def is_new() -> bool:
        assert process.poll() is None, running.output.read_text()
        there, alive = _servers(running), _workers(running)
        return bool(there) and not there & servers and bool(alive) and not alive & workers

    until(is_new, f"all is new: {running.output.read_text()}")


def test_no_request_fails_and_no_job_is_interrupted_by_several_restarts(
    idle_service: Running,
) -> None:
    running = idle_service
    running.up(JOBRUNNER_RATE_LIMIT="1000000/minute")
    gate = running.home / "gate"
    long = running.submit(params={"command": f"until [ -e {gate} ]; do sleep 0.05; done"})
    running.until_running(long)
    with hammering(running) as hammer:
        for _ in range(2):
            _renewed(running, running.processes[-1])
            goal = hammer.requests + 50
            until(partial(hammer.has_done, goal), "clients are answered")
    assert hammer.failures == []
    assert hammer.requests > 200
    assert len(hammer.submitted) > 5
    assert running.row(long).status == "running"
    gate.touch()
    jobs = [long, *hammer.submitted.values()]
    assert set(running.until_ended(*jobs)) == {"succeeded"}
    assert_exactly_once(running, jobs)
    attempts = [e["status"] for e in running.events(long) if e["kind"] == "attempt"]
    assert attempts == ["started", "succeeded"]
    assert set(running.statuses()) == set(jobs), "no submission was taken twice"


def test_event_streams_end_at_once_so_that_clients_find_the_new_server(
    running_service: Running,
) -> None:
    running = running_service
    gate = running.home / "gate"
    job = running.submit(params={"command": f"until [ -e {gate} ]; do sleep 0.05; done"})
    running.until_running(job)
    headers = {"Authorization": f"Bearer {running.token}", "Accept": "text/event-stream"}
    streams = [
        urllib.request.urlopen(
            urllib.request.Request(f"{running.url}/api/v1/jobs/{job}/{path}", headers=headers),
            timeout=30,
        )
        for path in ("events", "events", "log?follow=1")
    ]
    (old,) = _servers(running)
    os.kill(running.processes[-1].pid, signal.SIGHUP)
    until(lambda: len(_servers(running)) == 2 or old not in _servers(running), "a new server")
    deadline = time.monotonic() + 10
    for stream in streams:
        with stream:
            for _ in stream:  # to its end, which does not wait for that of the job
                assert time.monotonic() < deadline, "the stream goes on"
    ended = time.monotonic()
    assert running.row(job).status == "running"
    until(lambda: old not in _servers(running), "the old server ends")
    assert time.monotonic() - ended < 6
    gate.touch()
    assert running.until_ended(job) == ["succeeded"]


def test_a_new_version_that_cannot_work_changes_nothing(running_service: Running) -> None:
    running = running_service
    until(lambda: _workers(running), "a worker")
    with running.service.db.write() as session:  # as if newer tables shut this version out
        session.execute(text("UPDATE schema_notes SET value = '9998' WHERE name = 'oldest'"))
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    servers, workers = _servers(running), _workers(running)
    running.processes[-1].send_signal(signal.SIGHUP)
    until(lambda: "cannot be prepared" in running.output.read_text(), "it says so")
    worker = running.worker()
    worker.send_signal(signal.SIGHUP)

    def says_so() -> bool:
        assert worker.is_running(), "the worker became a version that cannot work, and died"
        return "cannot work" in running.output.read_text()

    until(says_so, "the worker says so, too")
    assert (_servers(running), _workers(running)) == (servers, workers)
    assert running.until_ended(running.submit("trivial")) == ["succeeded"]


def test_a_worker_that_was_renewed_still_drains_and_still_stops_what_runs(
    running_service: Running,
) -> None:
    running = running_service
    gate = running.home / "gate"
    job = running.submit(params={"command": f"until [ -e {gate} ]; do sleep 0.05; done"})
    running.until_running(job)
    process = running.processes[-1]
    _renewed(running, process)
    process.terminate()
    until(lambda: f"Waiting for {job}" in running.output.read_text(), "it waits")
    assert process.poll() is None
    process.terminate()
    assert process.wait(60) == 0
    assert running.left() == []
    assert running.row(job).status == "queued"
    gate.touch()
    running.up()
    assert running.until_ended(job) == ["succeeded"]
    assert_exactly_once(running, [job])


@pytest.fixture
def apart(idle_service: Running, redis_url: str) -> Running:
    """Web server and worker, each by itself."""
    with idle_service.service.db.write() as session:
        from webapp import tokens

        idle_service.token = tokens.create(session, name="jane", role="admin")
    return idle_service


def _web(running: Running) -> subprocess.Popen[str]:
    process = running.start("web", "--port", "0", JOBRUNNER_RATE_LIMIT="1000000/minute")
    output = running.output
    told = until(lambda: output.read_text().partition("The REST API: ")[2], "it says where")
    running.url = told.split("/api/")[0]
    until(lambda: _answers(running), "it answers")
    return process


def _answers(running: Running) -> bool:
    try:
        with urllib.request.urlopen(f"{running.url}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_the_web_server_alone_renews_itself_and_what_it_has_beside_it(apart: Running) -> None:
    web = _web(apart)

    def beside() -> set[int]:
        found = psutil.Process(web.pid).children()
        return {child.pid for child in found if "webapp.cli.watch" in child.cmdline()}

    until(lambda: len(beside()) == 2, "reconciler and notifier")
    watchers, (server,) = beside(), _servers(apart)
    with hammering(apart, submitting=False) as hammer:
        web.send_signal(signal.SIGHUP)
        until(lambda: server not in _servers(apart) and _servers(apart), "a new server")
        until(lambda: len(beside() - watchers) == 2, "a new reconciler and notifier")
        before = hammer.requests
        until(lambda: hammer.requests > before + 20, "clients are answered")
    assert hammer.failures == []
    web.terminate()
    assert web.wait(30) == 0
    assert [p for p in apart.left() if "webapp" in " ".join(p.cmdline())] == []


def test_a_web_server_that_is_killed_comes_back(apart: Running) -> None:
    _web(apart)
    (server,) = _servers(apart)
    os.kill(server, signal.SIGKILL)
    until(lambda: _servers(apart) - {server} and _answers(apart), "it is back")


def test_the_worker_alone_renews_itself(apart: Running) -> None:
    worker = apart.start("worker", "--slots", "2", "--cores", "8")
    (old,) = until(lambda: _workers(apart), "a worker")
    gate = apart.home / "gate"
    job = apart.submit(params={"command": f"until [ -e {gate} ]; do sleep 0.05; done"})
    apart.until_running(job)
    worker.send_signal(signal.SIGHUP)
    until(lambda: _workers(apart) - {old}, "a new worker")
    with apart.service.db.read() as session:
        (row,) = session.scalars(select(Worker))
    assert (row.pid, row.slots) == (worker.pid, 2), "the same process, no slot more than before"
    other = apart.submit("trivial")
    assert apart.until_ended(other) == ["succeeded"], "beside the attempt of the old one"
    gate.touch()
    assert apart.until_ended(job) == ["succeeded"]
    assert_exactly_once(apart, [job, other])


def test_a_socket_that_systemd_hands_over_is_used(apart: Running) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        apart.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        code = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True); "
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
            "os.execv(sys.executable, [sys.executable, '-m', 'webapp.cli.web'])"
        )
        web = subprocess.Popen(
            [sys.executable, "-c", code, str(listener.fileno())],
            env={**apart.environment(), "JOBRUNNER_LOG_LEVEL": "WARNING"},
            cwd=ROOT, pass_fds=[listener.fileno()], text=True,
        )  # fmt: skip
    apart.processes.append(web)
    until(lambda: _answers(apart), "it answers")


def test_a_lost_terminal_ends_it_instead_of_renewing_it(apart: Running) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(apart.environment())
        os.chdir(ROOT)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup may have started the tests
        os.execv(sys.executable, [sys.executable, "-m", "webapp.cli.web", "--port", "0"])
    try:
        said = b""
        while b"/api/docs" not in said:
            said += os.read(terminal, 4096)
        until(lambda: len(psutil.Process(pid).children()) == 3, "all runs")
    finally:
        os.close(terminal)
    ended, status = until(lambda: _ended(pid), "it ends", 30)
    assert (ended, os.waitstatus_to_exitcode(status)) == (pid, 0)


def _ended(pid: int) -> tuple[int, int] | None:
    found = os.waitpid(pid, os.WNOHANG)
    return found if found[0] else None
