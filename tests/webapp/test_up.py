"""`jobrunner up`: the whole service with one command, and nothing left of it afterwards."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from pathlib import Path

import pytest
from sqlalchemy import select

from webapp import tokens
from webapp.cli.one_machine import only_one
from webapp.cli.sockets import CannotStart, listen
from webapp.models import Token

from .running import Running, until


def test_it_says_where_it_is_what_to_do_and_keeps_its_token_in_the_file_asked_for(
    running_service: Running,
) -> None:
    text = running_service.output.read_text()
    url = running_service.url
    assert url.startswith("http://127.0.0.1:")
    assert f"{url}/api/docs" in text
    assert f"curl {url}/api/v1/jobs" in text
    assert "Ctrl-C" in text
    file = running_service.home / "token"
    assert file.stat().st_mode & 0o777 == 0o600
    assert running_service.token not in text
    with running_service.service.db.write() as session:
        assert tokens.authenticate(session, running_service.token).role == "admin"
    with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"{url}/api/docs", timeout=10) as answer:
        assert answer.status == 200

    job = running_service.submit()
    assert running_service.until_ended(job) == ["succeeded"]
    assert running_service.service.queue.warnings() == []


def test_ctrl_c_waits_for_attempts_says_so_and_leaves_no_process(
    running_service: Running,
) -> None:
    gate = running_service.home / "gate"
    job = running_service.submit(params={"command": f"until [ -e {gate} ]; do sleep 0.05; done"})
    running_service.until_running(job)
    process = running_service.processes[-1]
    process.send_signal(signal.SIGINT)
    until(lambda: f"Waiting for {job} (toy)" in running_service.output.read_text())
    with urllib.request.urlopen(f"{running_service.url}/healthz", timeout=10) as answer:
        assert answer.status == 200, "it answers while it drains"
    gate.touch()
    assert process.wait(30) == 0
    assert running_service.row(job).status == "succeeded"
    assert running_service.left() == []


def test_a_second_ctrl_c_stops_the_attempt_which_continues_at_the_next_start(
    running_service: Running,
) -> None:
    gate = running_service.home / "gate"
    job = running_service.submit(params={"command": f"until [ -e {gate} ]; do sleep 0.05; done"})
    running_service.until_running(job)
    process = running_service.processes[-1]
    process.send_signal(signal.SIGINT)
    until(lambda: "Waiting for" in running_service.output.read_text())
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert running_service.left() == []
    assert running_service.row(job).status == "queued"
    gate.touch()
    running_service.up()
    assert running_service.until_ended(job) == ["succeeded"]
    text = running_service.output.read_text()
    assert "made before" in text
    assert "jobrunner token create" in text
    with running_service.service.db.read() as session:
        assert len(list(session.scalars(select(Token)))) == 1


def test_killed_it_leaves_no_process(running_service: Running) -> None:
    job = running_service.submit(params={"command": "sleep 60"})
    running_service.until_running(job)
    process = running_service.processes[-1]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until(lambda: not running_service.left(), "all processes end", 40)
    assert running_service.events(job)[-1]["status"] == "queued"


def test_without_a_file_the_first_token_is_printed_and_only_once(idle_service: Running) -> None:
    process = idle_service.start("up", "--port", "0", "--slots", "1")
    output = idle_service.output
    until(lambda: "Ctrl-C ends it" in output.read_text(), output.read_text())
    (line,) = [
        line for line in output.read_text().splitlines() if "token " in line and "jr_" in line
    ]
    text = line.split()[1]
    with idle_service.service.db.write() as session:
        assert tokens.authenticate(session, text).role == "admin"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_one_home_has_one_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.cli.one_machine._OLD_ENDS", 0.2)
    with only_one(tmp_path):
        with pytest.raises(CannotStart, match=f"process {os.getpid()}.*already") as refusal:
            only_one(tmp_path).__enter__()
        assert "--home" in refusal.value.message
    with only_one(tmp_path):
        pass


def test_a_port_that_is_taken_is_refused_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"port {port}.*in use.*--port"):
            listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CannotStart, match=r"192\.0\.2\.1"):
        listen("192.0.2.1", 0)
