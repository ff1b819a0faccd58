"""A service that is watched for incidents, and what its operators were told."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from tests.webapp.notices import Clock
from tests.webapp.worlds import make_home, open_service
from webapp import pools
from webapp.alerts import Watch
from webapp.models import Delivery, Incident, Worker
from webapp.service import Service

HOST = socket.gethostname()
Look = Callable[..., list[str]]
_MAIL = {"mail": "smtp://127.0.0.1:1", "alert_to": "ops@example.org"}


@pytest.fixture(name="service")
def watched_service(database_url: str, tmp_path: Path) -> Iterator[Service]:
    """A service with operators to tell; its disk is never low."""
    make_home(tmp_path / "home")
    opened = open_service(
        tmp_path / "home", database_url, disk_low=0, disk_reserve=0, alert_waiting=60, **_MAIL
    )
    yield opened
    opened.db.engine.dispose()


@pytest.fixture(name="look")
def looking(service: Service) -> Look:
    """Look for incidents `seconds` later; give the keys of those that last."""
    clock = Clock()
    watch = Watch(service, clock)

    def look(seconds: float = 0) -> list[str]:
        clock.now += seconds
        watch.look()
        return [i.key for i in incidents(service) if i.ended is None]

    return look


def incidents(service: Service) -> list[Incident]:
    """Give all incidents, in their order."""
    with service.db.read() as session:
        return list(session.scalars(select(Incident).order_by(Incident.id)))


def mails(service: Service) -> list[tuple[str, str]]:
    """What was told, in its order, and about what."""
    with service.db.read() as session:
        found = session.scalars(select(Delivery).order_by(Delivery.id))
        return [(d.event, d.lane.partition(":")[2]) for d in found]


def told(key: str) -> list[tuple[str, str]]:
    """What is told of an incident from begin to end."""
    return [("alert.began", key), ("alert.ended", key)]


def silence(service: Service, seconds: float = 1000) -> None:
    """Let all workers have given no sign of life for so long."""
    with service.db.write() as session:
        session.execute(update(Worker).values(heartbeat=pools.seconds_ago(seconds)))


def beat(service: Service, worker_id: str) -> None:
    """Let a worker give a sign of life."""
    with service.db.write() as session:
        assert pools.beat(session, worker_id) is not None
