"""Notices: a proper stop repeats none, and what cannot be sent as it is says why."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.webapp.notices import Clock, deliveries, end, make_service, send_due, submit, tell
from tests.webapp.receivers import Mailbox
from tests.webapp.running import until
from tests.webapp.worlds import row
from webapp import notify
from webapp.children import fork
from webapp.notify.notifier import Notifier
from webapp.service import Service

Make = Callable[[str], Service]


@pytest.fixture
def make(tmp_path: Path, new_database_url: Callable[..., str]) -> Iterator[Make]:
    """Make a service with the mail server of that address."""
    made: list[Service] = []

    def with_server(address: str) -> Service:
        made.append(make_service(tmp_path, new_database_url("sqlite"), mail=address))
        return made[-1]

    yield with_server
    for service in made:
        service.db.engine.dispose()


@pytest.fixture
def box() -> Iterator[Mailbox]:
    """A mail server that is up."""
    found = Mailbox()
    found.start()
    yield found
    with suppress(RuntimeError):
        found.stop()


def test_a_notifier_that_is_told_twice_to_stop_still_waits_for_an_answer(
    make: Make, box: Mailbox
) -> None:
    """A worker that ends tells it, and the kernel once more when the worker is gone."""
    box.delay = 1.0
    service = make(box.address)
    end(service, submit(service))
    service.db.engine.dispose()
    pid = fork(lambda: _watch(service), death=signal.SIGKILL)
    until(lambda: bool(box.accepted), "the mail is being sent")
    for _ in range(2):
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.2)
    os.waitpid(pid, 0)
    assert [found.state for found in deliveries(service)] == ["delivered"]


def _watch(service: Service) -> int:
    service.forget()
    notify.watch(service)
    return 0


def test_a_password_that_mail_servers_cannot_take_is_named_as_the_reason(
    make: Make, box: Mailbox
) -> None:
    box.stop()
    box.options = {
        "authenticator": lambda *_: None,
        "auth_require_tls": False,
    }
    box.start()
    service = make(f"smtp://jane:gr%C3%BCn@127.0.0.1:{box.port}")
    clock = Clock(time.time() + 1)
    notifier = Notifier(service, clock)
    end(service, submit(service))
    for _ in range(2):
        send_due(notifier)
        clock.now += 10
    (found,) = deliveries(service)
    details = [entry["detail"] for entry in found.history]
    assert len(details) == 2
    assert all("ASCII" in detail for detail in details)


def test_half_a_character_keeps_no_mail_back(make: Make, box: Mailbox) -> None:
    service = make(box.address)
    job_id = submit(service)
    results = service.path(row(service, job_id)) / "results"
    results.mkdir(exist_ok=True)
    (results / "summary.json").write_text(r'{"headline": {"File": "caf\udce9.xlsx"}}')
    tell(service, job_id, {"status": "running"}, {"status": "succeeded"})
    send_due(Notifier(service, Clock(time.time() + 1)))
    ((_, _, message),) = box.accepted
    plain = message.get_body(("plain",))
    assert plain is not None
    assert "caf?.xlsx" in plain.get_content()
