"""What is an incident, from its beginning to its end, and what is none."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from sqlalchemy import select

from tests.webapp.attempts import stage
from tests.webapp.watching import (  # noqa: F401
    HOST,
    Look,
    beat,
    incidents,
    looking,
    mails,
    silence,
    told,
    watched_service,
)
from tests.webapp.worlds import add_worker, trivial
from webapp import jobs, pools
from webapp.db import Database, DatabaseAway
from webapp.models import Delivery
from webapp.service import Service


def test_jobs_that_wait_without_a_worker_are_told_of_once(service: Service, look: Look) -> None:
    jobs.submit(service, trivial())
    assert look() == []
    assert look(59) == []
    assert look(1) == ["waiting:default"]
    assert look(100) == ["waiting:default"]
    assert mails(service) == told("waiting:default")[:1]
    add_worker(service)
    assert look(1) == []
    assert look(100) == []
    assert mails(service) == told("waiting:default")


def test_a_worker_that_is_away_for_a_moment_is_no_incident(service: Service, look: Look) -> None:
    jobs.submit(service, trivial())
    look()
    look(50)
    worker = add_worker(service)
    look(1)
    with service.db.write() as session:
        pools.leave(session, worker)
    look(1)
    assert look(59) == [], "the time counts from when the last worker left"
    assert look(1) == ["waiting:default"]


@pytest.mark.parametrize(
    "paused", [("service", "all"), ("pool", "default"), ("instance", "default")]
)
def test_jobs_that_wait_because_of_a_pause_are_no_incident(
    service: Service, look: Look, paused: Any
) -> None:
    jobs.submit(service, trivial())
    with service.db.write() as session:
        pools.ensure(session, "default")
        pools.pause(session, *paused, "test")
    look()
    assert look(1000) == []
    with service.db.write() as session:
        pools.resume(session, *paused)
    look()
    assert look(1000) == ["waiting:default"]


def test_a_worker_that_vanished_is_told_of_until_one_lives_there_again(
    service: Service, look: Look
) -> None:
    key = f"worker:{HOST}:default"
    add_worker(service)
    assert look() == []
    silence(service)
    look()
    assert look(20) == [key]
    add_worker(service)
    assert look(20) == []
    assert mails(service) == told(key)


def test_a_vanished_worker_that_is_struck_off_is_over(service: Service, look: Look) -> None:
    worker = add_worker(service)
    silence(service)
    look()
    assert look(20) == [f"worker:{HOST}:default"]
    with service.db.write() as session:
        pools.leave(session, worker)
    assert look(20) == []


def test_a_worker_that_was_stopped_properly_is_no_incident(service: Service, look: Look) -> None:
    worker = add_worker(service)
    look()
    with service.db.write() as session:
        pools.leave(session, worker)
    look()
    assert look(1000) == []
    assert mails(service) == []


def test_workers_that_were_silent_because_the_database_was_away_have_not_vanished(
    service: Service, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = add_worker(service)
    silence(service)
    look()
    engine = service.db.engine
    monkeypatch.setattr(service.db, "engine", Database("postgresql://127.0.0.1:1/none").engine)
    with pytest.raises(DatabaseAway):
        look(1000)
    monkeypatch.setattr(service.db, "engine", engine)
    assert look() == []
    beat(service, worker)
    assert look(20) == []
    assert mails(service) == []


def test_a_stage_that_fails_job_after_job_is_told_of_until_it_succeeds(
    service: Service, look: Look
) -> None:
    first, second, third = (jobs.submit(service, trivial()).job.id for _ in range(3))
    add_worker(service)
    for attempt in (1, 2, 3):
        stage(service, first, "failed", attempt=attempt)
    stage(service, second, "failed")
    assert look() == [], "these are two jobs"
    stage(service, third, "failed")
    assert look() == ["stage:trivial:a"]
    with service.db.read() as session:
        (mail,) = session.scalars(select(Delivery))
        assert all(job_id in mail.data["message"] for job_id in (first, second, third))
    assert first not in incidents(service)[0].message, "operators of one instance see it"
    stage(service, first, "failed", attempt=4)
    assert look(1000) == ["stage:trivial:a"]
    stage(service, second, "succeeded", attempt=2)
    assert look() == []
    assert mails(service) == told("stage:trivial:a")


def test_low_disk_space_is_told_of_until_clearly_more_is_free(
    service: Service, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(service.settings), "disk_low", 1000)
    expected = [(1000, []), (999, ["disk"]), (1001, ["disk"]), (999, ["disk"]), (1100, []),
                (1050, [])]  # fmt: skip
    for free, lasting in expected:
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: _Usage(free))
        assert look(1) == lasting, free
    assert mails(service) == told("disk")


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free
