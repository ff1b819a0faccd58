"""Operators are told of an incident once when it begins and once when it ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.webapp.api_home import Api, running
from tests.webapp.running import Running, until
from tests.webapp.test_tally import stage
from tests.webapp.worlds import add_worker, make_home, open_service, trivial
from webapp import alerts, jobs, pools
from webapp.alerts import Watch
from webapp.db import Database, DatabaseAway
from webapp.models import Delivery, Incident, Worker
from webapp.service import Service

HOST = socket.gethostname()
_MAIL = {"mail": "smtp://127.0.0.1:1", "alert_to": "ops@example.org"}


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[Service]:
    make_home(tmp_path / "home")
    opened = open_service(
        tmp_path / "home", database_url, disk_low=0, disk_reserve=0, alert_waiting=60, **_MAIL
    )
    yield opened
    opened.db.engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def look(service: Service, clock: Clock) -> Callable[..., list[str]]:
    """Look for incidents `seconds` later; give the keys of those that last."""
    watch = Watch(service, clock)

    def look(seconds: float = 0) -> list[str]:
        clock.now += seconds
        watch.look()
        return [i.key for i in incidents(service) if i.ended is None]

    return look


def incidents(service: Service) -> list[Incident]:
    with service.db.read() as session:
        return list(session.scalars(select(Incident).order_by(Incident.id)))


def mails(service: Service) -> list[tuple[str, str]]:
    """What was told, in its order, and about what."""
    with service.db.read() as session:
        found = session.scalars(select(Delivery).order_by(Delivery.id))
        return [(d.event, d.lane.partition(":")[2]) for d in found]


def told(key: str) -> list[tuple[str, str]]:
    return [("alert.began", key), ("alert.ended", key)]


def silence(service: Service, seconds: float = 1000) -> None:
    """Let all workers have given no sign of life for so long."""
    with service.db.write() as session:
        session.execute(update(Worker).values(heartbeat=pools.seconds_ago(seconds)))


def beat(service: Service, worker_id: str) -> None:
    with service.db.write() as session:
        assert pools.beat(session, worker_id) is not None


def test_jobs_that_wait_without_a_worker_are_told_of_once(
    service: Service, look: Callable[..., list[str]]
) -> None:
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


def test_a_worker_that_is_away_for_a_moment_is_no_incident(
    service: Service, look: Callable[..., list[str]]
) -> None:
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
    service: Service, look: Callable[..., list[str]], paused: Any
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
    service: Service, look: Callable[..., list[str]]
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


def test_a_vanished_worker_that_is_struck_off_is_over(
    service: Service, look: Callable[..., list[str]]
) -> None:
    worker = add_worker(service)
    silence(service)
    look()
    assert look(20) == [f"worker:{HOST}:default"]
    with service.db.write() as session:
        pools.leave(session, worker)
    assert look(20) == []


def test_a_worker_that_was_stopped_properly_is_no_incident(
    service: Service, look: Callable[..., list[str]]
) -> None:
    worker = add_worker(service)
    look()
    with service.db.write() as session:
        pools.leave(session, worker)
    look()
    assert look(1000) == []
    assert mails(service) == []


def test_workers_that_were_silent_because_the_database_was_away_have_not_vanished(
    service: Service, look: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
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
    service: Service, look: Callable[..., list[str]]
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
    service: Service, look: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
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


def test_a_restart_and_many_processes_tell_nobody_twice(service: Service) -> None:
    jobs.submit(service, trivial())
    clock = Clock()
    watches = [Watch(service, clock) for _ in range(6)]

    def all_look() -> None:
        with ThreadPoolExecutor(len(watches)) as threads:
            for done in [threads.submit(watch.look) for watch in watches]:
                done.result()

    all_look()
    clock.now += 60
    all_look()
    assert mails(service) == told("waiting:default")[:1]
    watches = [Watch(service, clock) for _ in range(6)]
    all_look()
    assert mails(service) == told("waiting:default")[:1]
    add_worker(service)
    all_look()
    assert mails(service) == told("waiting:default")
    assert [i.ended is None for i in incidents(service)] == [False]


def test_what_happens_again_is_told_again(service: Service, look: Callable[..., list[str]]) -> None:
    worker = add_worker(service)
    for _ in range(2):
        silence(service)
        look()
        assert look(20)
        beat(service, worker)
        assert not look(20)
    assert mails(service) == 2 * told(f"worker:{HOST}:default")


def test_incidents_of_kinds_that_only_a_newer_version_knows_are_left_to_it(
    service: Service, look: Callable[..., list[str]]
) -> None:
    with service.db.write() as session:
        session.add(Incident(kind="newer", key="newer", message="", began=pools.seconds_ago(1)))
    assert look() == ["newer"]
    assert mails(service) == []


def test_one_process_of_a_home_watches(service: Service) -> None:
    from webapp.lease import lease

    with lease(service.home.path, "alerts") as first, lease(service.home.path, "alerts") as second:
        assert (first, second) == (True, False)


def test_operators_see_incidents_those_that_last_first(
    tmp_path: Path, sqlite_template: Path
) -> None:
    (tmp_path / "service.db").write_bytes(sqlite_template.read_bytes())
    with running(tmp_path, f"sqlite:///{tmp_path / 'service.db'}") as api:
        _add_incidents(api)
        assert api.call("GET", "/api/v1/incidents", "viewer").status_code == 403
        found = api.call("GET", "/api/v1/incidents?limit=2", "operator").json["incidents"]  # type: ignore[index]
        assert [incident["key"] for incident in found] == ["lasts", "3", "2"]
        assert found[0]["ended"] is None


def _add_incidents(api: Api) -> None:
    time = pools.seconds_ago(1)
    with api.service.db.write() as session:
        for key in ("lasts", "1", "2", "3"):
            ended = None if key == "lasts" else time
            session.add(Incident(kind="disk", key=key, message="", began=time, ended=ended))
            session.flush()


def test_a_killed_worker_is_told_of_by_another_and_a_stopped_one_is_not(
    idle_service: Running, redis_url: str
) -> None:
    quick = {"JOBRUNNER_HEARTBEAT": "0.2", "JOBRUNNER_WORKER_LOST_AFTER": "1",
             "JOBRUNNER_RECONCILE_EVERY": "0.2", "JOBRUNNER_DISK_LOW": "0"}  # fmt: skip
    names = ("one", "two", "three")
    workers = {name: idle_service.start("worker", "--pool", name, **quick) for name in names}

    def pools_there() -> set[str]:
        with idle_service.service.db.read() as session:
            return set(session.scalars(select(Worker.pool)))

    def open_ones() -> list[str]:
        return [i.key for i in incidents(idle_service.service) if i.ended is None]

    until(lambda: pools_there() == set(names), "all workers are there")
    workers["one"].send_signal(signal.SIGTERM)
    workers["one"].wait()
    os.kill(workers["two"].pid, signal.SIGKILL)
    until(lambda: open_ones() == [f"worker:{HOST}:two"], "it is told of")
    idle_service.start("worker", "--pool", "two", **quick)
    until(lambda: open_ones() == [], "it is over")
    assert len(incidents(idle_service.service)) == 1


def test_looking_outlives_what_hinders_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = alerts.Watch(service)
    engine = service.db.engine
    monkeypatch.setattr(service.db, "engine", Database("postgresql://127.0.0.1:1/none").engine)
    watch.look_again()
    monkeypatch.setattr(service.db, "engine", engine)
    watch.look_again()
