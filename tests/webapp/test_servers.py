"""The socket and the servers behind it: whose it is, and who is started when."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.webapp.running import Running
from tests.webapp.worlds import make_home, open_service
from webapp.children import Child, Family
from webapp.cli import servers as module
from webapp.cli.one_machine import OneMachine
from webapp.cli.servers import Servers


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The descriptors of the pipes that servers were given; none of them really starts."""
    pipes: list[int] = []

    def spawn(argv: list[str], **_: object) -> int:
        pipes.append(os.dup(int(argv[-1])))
        return 2**22 + len(pipes)  # no process has this number

    monkeypatch.setattr(module, "spawn", spawn)
    monkeypatch.setattr(Child, "send", lambda *_: None)
    monkeypatch.setattr(Family, "bury", lambda _: None)
    monkeypatch.setattr(module._Server, "kill", lambda _: None)
    return pipes


def _open() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_renewal_that_was_asked_for_while_another_failed_is_done(
    listener: socket.socket, started: list[int]
) -> None:
    family = Family()
    servers = Servers(family, listener, 1)
    family.tend()
    servers.renew()
    servers.renew()  # what starts now may have missed what has changed since
    family.members[-1].pid = None  # it has failed
    servers.tend()
    family.tend()
    assert len(started) == 3
    for pipe in started:
        os.close(pipe)


def test_renewals_leave_no_file_open(listener: socket.socket, started: list[int]) -> None:
    family = Family()
    before = _open()
    servers = Servers(family, listener, 1)
    family.tend()
    for _ in range(3):
        servers.renew()
        os.write(started[-1], b".")
        servers.tend()
        for pipe in started:
            os.close(pipe)
        started.clear()
    assert _open() == before


def test_of_a_service_only_the_web_server_has_its_socket(running_service: Running) -> None:
    first = psutil.Process(running_service.processes[-1].pid)
    assert running_service.worker().pid
    for child in first.children(recursive=True):
        has = any(found.status == "LISTEN" for found in child.net_connections("tcp"))
        assert has == ("webapp.cli.web" in child.cmdline()), child.cmdline()


def test_the_whole_service_prepares_once_more_if_it_is_asked_meanwhile(
    listener: socket.socket, new_database_url: Callable[..., str], tmp_path: Path
) -> None:
    make_home(tmp_path / "home")
    service = open_service(tmp_path / "home", new_database_url("sqlite", True))
    machine = OneMachine(service, listener, {"default": 1})
    machine._renew()
    first = machine._preparation
    machine._renew()
    assert first is not None
    first.code = 1
    machine._go_on_renewing()
    assert machine._preparation not in (None, first)
