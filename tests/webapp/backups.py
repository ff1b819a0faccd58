"""Services whose backups are made and restored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webapp.attempts import run
from tests.webapp.tables import everything
from tests.webapp.worlds import add_worker, make_home, open_service, trivial
from webapp import jobs, pools, tokens
from webapp.jobs import IdempotencyKey
from webapp.models import Delivery
from webapp.service import Service

KINDS = ("sqlite", "postgresql")
Opener = Callable[..., Service]


@pytest.fixture(name="opener")
def open_services(new_database_url: Callable[..., str], tmp_path: Path) -> Iterator[Opener]:
    """Open services with databases of their own."""
    made: list[Service] = []

    def open_one(kind: str, home: str = "home", tables: bool = True) -> Service:
        if not (tmp_path / home).exists():
            make_home(tmp_path / home)
        made.append(open_service(tmp_path / home, new_database_url(kind, tables)))
        return made[-1]

    yield open_one
    for service in made:
        service.db.engine.dispose()


def fill(service: Service) -> None:
    """Have a row in every table that people fill."""
    add_worker(service, slots=10)
    run(service, tags=["Ümläut"], priority=3)
    run(service, "failed")
    key = IdempotencyKey("scope", "key", "0" * 64)
    jobs.submit(service, trivial(), key)
    with service.db.write() as session:
        tokens.create(session, name="jane", role="admin")
        pools.pause(session, "instance", "default", "joe")
        pools.set_capacity(session, "default", 3)
        for number, state in enumerate(("delivered", "waiting", "given_up")):
            session.add(delivery(f"key-{number}", state))


def delivery(key: str, state: str) -> Delivery:
    """A notice in that state, which no job is told of."""
    time = "2026-11-22T00:00:00.000Z"
    return Delivery(
        key=key, kind="email", instance="default", target="email", lane="lane", event="x",
        recipients=["a@b.example"], data={"text": "ü\u2028"}, state=state, tries=1,
        history=[{"time": time}], created=time, next_try=time, expires=time,
    )  # fmt: skip


def of_data(service: Service) -> dict[str, list[dict[str, Any]]]:
    """Give all rows of all tables but those of workers."""
    return {name: rows for name, rows in everything(service.db).items() if name != "workers"}
