"""Admission against a model of it: random queues, limits, pauses and pools, on both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from runner.files import now
from tests.webapp.admission_model import Waits, World
from tests.webapp.worlds import add_worker, make_home, open_service
from webapp import pools
from webapp.admission import admit, waiting
from webapp.db import Database
from webapp.instances import Instance, TypeRule
from webapp.models import Base, Job
from webapp.service import Service

POOLS, INSTANCES, TYPES = ("cluster", "default"), ("a", "b", "c"), ("x", "y")
_slots, _cores, _mem_mb = st.integers(0, 6), st.sampled_from([8, 4, 2, 0]), st.integers(0, 6)
_limit = st.sampled_from([None, 2, 1, 3, 0])


@dataclass(frozen=True)
class FixedInstances:
    """Instances that come from no files."""

    found: dict[str, Instance]

    def all(self) -> dict[str, Instance]:
        return self.found


@st.composite
def worlds(draw: st.DrawFn) -> World:
    pairs = [(instance, type_name) for instance in INSTANCES for type_name in TYPES]
    return World(
        limits={name: draw(_limit) for name in INSTANCES},
        type_limits={pair: draw(_limit) for pair in pairs},
        rooms={pool: (draw(_slots), draw(_cores), draw(_mem_mb)) for pool in POOLS},
    )


_jobs = st.tuples(
    st.sampled_from(POOLS), st.sampled_from(INSTANCES), st.sampled_from(TYPES),
    st.integers(-2, 2), st.sampled_from([1, 1, 1, 2, 4]), st.sampled_from([0, 0, 1, 3]),
)  # fmt: skip
_pauses = st.sampled_from(
    [("service", "all"), *(("pool", p) for p in POOLS), *(("instance", i) for i in INSTANCES)]
)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.lists(_jobs, min_size=2, max_size=8)),
        st.tuples(st.just("finish"), st.integers(0, 10)),
        st.tuples(st.just("pause"), _pauses),
        st.tuples(st.just("resume"), _pauses),
        st.tuples(st.just("resize"), st.tuples(st.sampled_from(POOLS), _slots)),
    ),
    min_size=1, max_size=12,
)  # fmt: skip


class Play:
    """Does each step in the database and in the model."""

    def __init__(self, service: Service, world: World) -> None:
        rules = {
            name: Instance(
                name, name, running=world.limits[name],
                types={t: TypeRule(running=world.type_limits[name, t]) for t in TYPES},
            )
            for name in INSTANCES
        }  # fmt: skip
        self.service = replace(service, instances=FixedInstances(rules))  # type: ignore[arg-type]
        self.world = world
        self.number = 0
        with service.db.write() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(delete(table))
        for pool, (slots, cores, mem_mb) in world.rooms.items():
            add_worker(service, pool, slots, cores, mem_mb)

    def submit(self, jobs: list[tuple[Any, ...]]) -> None:
        added = [Waits(self.number + i, *job) for i, job in enumerate(jobs, 1)]
        self.number += len(jobs)
        self.world.waiting += added
        with self.service.db.write() as session:
            session.add_all(_row(job) for job in added)

    def finish(self, which: int) -> None:
        if not self.world.running:
            return
        job = self.world.running.pop(which % len(self.world.running))
        with self.service.db.write() as session:
            row = session.get(Job, job.id)
            assert row is not None
            row.status, row.admitted = "succeeded", None

    def pause(self, what: tuple[Any, str]) -> None:
        self.world.paused.add(what)
        with self.service.db.write() as session:
            pools.pause(session, *what, by="jane")

    def resume(self, what: tuple[Any, str]) -> None:
        self.world.paused.discard(what)
        with self.service.db.write() as session:
            pools.resume(session, *what)

    def resize(self, wanted: tuple[str, int]) -> None:
        pool, slots = wanted
        self.world.rooms[pool] = (slots, *self.world.rooms[pool][1:])
        _, cores, mem_mb = self.world.rooms[pool]
        with self.service.db.write() as session:
            pools.set_capacity(session, pool, slots, cores=cores, mem_mb=mem_mb)

    def admitted(self) -> list[Job]:
        with self.service.db.read() as session:
            return list(session.scalars(select(Job).where(Job.admitted.is_not(None))))


def _row(job: Waits) -> Job:
    return Job(
        id=job.id, type=job.type, version="1", digest="d", instance=job.instance, profile="plain",
        pool=job.pool, user="jane", directory=f"jobs/{job.id}", status="queued",
        priority=job.priority, cores=job.cores, mem_mb=job.mem_mb, submitted=now(),
    )  # fmt: skip


@pytest.fixture
def service(database: Database, database_url: str, tmp_path: Path) -> Iterator[Service]:
    make_home(tmp_path / "home")
    opened = open_service(tmp_path / "home", database_url)
    yield opened
    opened.db.engine.dispose()


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(world=worlds(), steps=_steps)
def test_admission_does_what_its_model_does(
    service: Service, world: World, steps: list[tuple[str, Any]]
) -> None:
    play = Play(service, world)
    for name, argument in steps:
        before = {job.id for job in play.admitted()}
        getattr(play, name)(argument)
        expected = set(world.admit())
        assert admit(play.service) == len(expected)
        rows = play.admitted()
        gone = before - {job.id for job in world.running}
        assert {job.id for job in rows} - before == expected
        assert {job.id for job in rows} == (before - gone) | expected
        _assert_within_limits(world, rows, expected)
        assert admit(play.service) == 0  # nothing was left over
    _assert_everyone_knows_why(play)


def _assert_within_limits(world: World, rows: list[Job], new: set[str]) -> None:
    instances, types = (
        Counter(j.instance for j in rows),
        Counter((j.instance, j.type) for j in rows),
    )
    for job in (row for row in rows if row.id in new):
        limit, type_limit = world.limits[job.instance], world.type_limits[job.instance, job.type]
        assert limit is None or instances[job.instance] <= limit
        assert type_limit is None or types[job.instance, job.type] <= type_limit
        slots, cores, mem_mb = world.rooms[job.pool]
        beside = [row for row in rows if row.pool == job.pool]
        assert len(beside) <= slots
        assert sum(row.cores for row in beside) <= cores
        assert sum(row.mem_mb for row in beside) <= mem_mb


def _assert_everyone_knows_why(play: Play) -> None:
    """Each waiting job has its place in the queue, and a reason; none is called next in vain."""
    with play.service.db.read() as session:
        for pool in POOLS:
            queue = [job for job in play.world.waiting if job.pool == pool]
            ordered = sorted(queue, key=lambda j: (-j.priority, j.number))
            for position, job in enumerate(ordered, 1):
                row = session.get(Job, job.id)
                assert row is not None
                told = waiting(session, play.service, row)
                assert told is not None
                assert told.position == position
                assert told.code != "next"


def _unlimited(room: tuple[int, int, int]) -> World:
    pairs = [(instance, type_name) for instance in INSTANCES for type_name in TYPES]
    return World(dict.fromkeys(INSTANCES), dict.fromkeys(pairs), {"default": room})


def test_a_large_job_gets_its_cores_although_small_ones_keep_coming(service: Service) -> None:
    play = Play(service, _unlimited((4, 4, 4)))
    small, large = ("default", "a", "x", 0, 1, 0), ("default", "b", "x", 0, 4, 0)
    play.submit([small, small, large])
    admit(play.service)
    play.world.admit()
    for _ in range(2):  # a small one comes and one ends, all the time
        assert [job.cores for job in play.admitted()] in ([1, 1], [1])
        play.submit([small])
        play.finish(0)
        play.world.admit()
        admit(play.service)
    assert [job.cores for job in play.admitted()] == [4]


def test_a_job_that_can_never_fit_holds_up_nobody_and_says_so(service: Service) -> None:
    for wants in ((8, 0), (1, 8)):
        play = Play(service, _unlimited((4, 4, 4)))
        play.submit([("default", "a", "x", 1, *wants), ("default", "a", "x", 0, 1, 0)])
        assert admit(play.service) == 1
        (admitted,) = play.admitted()
        assert admitted.priority == 0
        with service.db.read() as session:
            job = session.get(Job, play.world.waiting[0].id)
            assert job is not None
            told = waiting(session, play.service, job)
        assert told is not None
        assert told.code == "too_large"


def test_a_dead_workers_slots_are_no_slots(service: Service) -> None:
    play = Play(service, _unlimited((4, 4, 4)))
    play.submit([("default", "a", "x", 0, 1, 0)])
    with service.db.write() as session:
        for worker in pools.living(session, service.settings):
            worker.heartbeat = "2020-01-01T00:00:00.000Z"
    assert admit(play.service) == 0
    with service.db.read() as session:
        job = session.get(Job, play.world.waiting[0].id)
        assert job is not None
        told = waiting(session, play.service, job)
    assert told is not None
    assert (told.position, told.code) == (1, "no_worker")
