"""Services and a notifier for tests of what becomes of notices: fixtures, each to be imported."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webapp.notices import Clock, make_service, send_due
from tests.webapp.receivers import Hooks, Mailbox
from webapp.notify.notifier import Notifier
from webapp.service import Service

Make = Callable[..., Service]
_AHEAD = 120  # seconds; signatures are valid for five minutes


@pytest.fixture(name="make")
def make_services(tmp_path: Path, new_database_url: Callable[..., str]) -> Iterator[Make]:
    """Open services as `make_service` does, each with a database of its own."""
    made: list[Service] = []

    def make(hook_url: str | None = None, **given: Any) -> Service:
        made.append(make_service(tmp_path, new_database_url("sqlite"), hook_url, **given))
        return made[-1]

    yield make
    for service in made:
        service.db.engine.dispose()


def send(service: Service) -> None:
    """Try all that is due once, with a notifier of its own."""
    send_due(Notifier(service, Clock(time.time() + _AHEAD)))


@pytest.fixture(name="service")
def telling_service(make: Make, mailbox: Mailbox, hooks: Hooks) -> Service:
    """A service whose mails and webhooks go to servers of the test."""
    return make(hooks.url, mail=mailbox.address, alert_to=("ops@example.org",))


@pytest.fixture(name="clock")
def still_clock() -> Clock:
    """A time at which all is due that the test writes, however slow the machine is."""
    return Clock(time.time() + _AHEAD)


@pytest.fixture(name="notifier")
def still_notifier(service: Service, clock: Clock) -> Notifier:
    """A notifier that does nothing by itself, with a time that only the test moves."""
    return Notifier(service, clock)
