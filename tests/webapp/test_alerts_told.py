"""Operators are told of an incident once when it begins and once when it ends."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.webapp.api_home import Api, running
from tests.webapp.notices import Clock
from tests.webapp.running import Running, until
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
from webapp import alerts, jobs, pools
from webapp.alerts import Watch
from webapp.db import Database
from webapp.models import Incident, Worker
from webapp.service import Service


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


def test_what_happens_again_is_told_again(service: Service, look: Look) -> None:
    worker = add_worker(service)
    for _ in range(2):
        silence(service)
        look()
        assert look(20)
        beat(service, worker)
        assert not look(20)
    assert mails(service) == 2 * told(f"worker:{HOST}:default")


def test_incidents_of_kinds_that_only_a_newer_version_knows_are_left_to_it(
    service: Service, look: Look
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
