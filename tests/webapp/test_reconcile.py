"""The reconciler: what a death or a lost Redis left untrue is made true, and nothing else."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from runner import leader
from webapp import jobs, pools, reconcile, supervisor
from webapp.admission import admit
from webapp.jobs import IdempotencyKey
from webapp.lease import lease
from webapp.models import Idempotency, Job, Worker
from webapp.service import Service
from webapp.settings import Settings

from .attempts import begin
from .worlds import add_worker, row, trivial

_FORK = multiprocessing.get_context("fork")


@pytest.fixture
def service(service_home: Path, redis_url: str, new_database_url: Callable[..., str]) -> Service:
    """A service with a real Redis and a worker on paper."""
    settings = Settings(
        home=service_home, redis_url=redis_url, database_url=new_database_url("sqlite")
    )
    service = Service.open(settings)
    add_worker(service, slots=4)
    return service


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "_SETTLING", -1.0)


def _admitted(service: Service) -> Job:
    job = jobs.submit(service, trivial()).job
    found = row(service, job.id)
    assert found.admitted is not None
    return found


def _claimed(service: Service) -> Job:
    job = _admitted(service)
    assert jobs.claim(service, job.id, job.fence, "worker-1") is not None
    return row(service, job.id)


@contextmanager
def _elsewhere(hold: Callable[[Event, Event], None]) -> Iterator[None]:
    """Have another process hold something for the block."""
    held, done = _FORK.Event(), _FORK.Event()
    process = _FORK.Process(target=hold, args=(held, done))
    process.start()
    assert held.wait(10)
    yield
    done.set()
    process.join()


def test_nothing_is_done_where_nothing_is_wrong(service: Service) -> None:
    job = _admitted(service)
    assert not reconcile.reconcile(service)
    assert service.queue.length("default") == 1
    assert row(service, job.id).fence == job.fence


def test_an_admitted_job_that_redis_has_lost_is_put_again(service: Service) -> None:
    job = _admitted(service)
    service.queue.connection(1).flushall()
    assert reconcile.reconcile(service).put == 1
    assert service.queue.has("default", job.id, job.fence)


def test_a_wake_up_that_a_worker_took_and_died_with_is_put_again(service: Service) -> None:
    job = _admitted(service)
    redis = service.queue.connection(1)
    key = service.queue.entries("default").key
    redis.lmove(key, f"{key}:intermediate", "LEFT", "RIGHT")
    assert reconcile.reconcile(service).put == 1
    assert service.queue.has("default", job.id, job.fence)


def test_an_admission_of_this_moment_is_left_to_the_workers(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_SETTLING", 60.0)
    _admitted(service)
    service.queue.connection(1).flushall()
    assert reconcile.reconcile(service).put == 0


def test_a_claimed_job_with_both_locks_free_is_queued_again(service: Service) -> None:
    job = _claimed(service)
    report = reconcile.reconcile(service)
    assert report.interrupted == 1
    after = row(service, job.id)
    assert (after.status, after.interruptions, after.claimed_by) == ("queued", 1, None)
    assert after.fence == job.fence + 1, "and admitted again at once"


def test_a_job_is_continued_so_often_and_fails_then(service: Service) -> None:
    job = _claimed(service)
    for _ in range(service.settings.max_interruptions):
        reconcile.reconcile(service)
        now = row(service, job.id)
        assert now.status == "queued"
        assert jobs.claim(service, job.id, now.fence, "worker-1") is not None
    reconcile.reconcile(service)
    after = row(service, job.id)
    assert after.status == "failed"
    assert after.error is not None
    assert after.error["code"] == "interrupted_too_often"


def test_a_job_whose_supervisor_lives_is_left_alone(service: Service) -> None:
    job = _claimed(service)

    def hold(held: Event, done: Event) -> None:
        with supervisor.hold(service.path(job)) as mine:
            assert mine
            held.set()
            done.wait(30)

    with _elsewhere(hold):
        assert supervisor.is_held(service.path(job))
        assert not reconcile.reconcile(service)
        assert row(service, job.id).claimed_by == "worker-1"
    assert reconcile.reconcile(service).interrupted == 1


def test_a_job_whose_leader_lives_is_left_alone(service: Service) -> None:
    job = _claimed(service)

    def hold(held: Event, done: Event) -> None:
        descriptor = leader.acquire(service.path(job))
        held.set()
        done.wait(30)
        os.close(descriptor)

    with _elsewhere(hold):
        assert not reconcile.reconcile(service)
        assert row(service, job.id).claimed_by == "worker-1"
    assert reconcile.reconcile(service).interrupted == 1


def test_the_lock_of_a_supervisor_is_free_as_soon_as_it_is_killed(service: Service) -> None:
    job = _claimed(service)

    def hold(held: Event, done: Event) -> None:
        with supervisor.hold(service.path(job)):
            held.set()
            done.wait(30)

    held, done = _FORK.Event(), _FORK.Event()
    process = _FORK.Process(target=hold, args=(held, done))
    process.start()
    assert held.wait(10)
    process.kill()
    process.join()
    assert not supervisor.is_held(service.path(job))


def test_a_job_without_its_place_gets_it(service: Service) -> None:
    job = _admitted(service)
    path = service.path(job)
    path.rename(path.with_name(f".draft-{job.id}"))
    path.mkdir()
    assert reconcile.reconcile(service).placed == 1
    assert (path / "job.yaml").is_file()


def test_what_was_done_by_hand_in_a_waiting_jobs_directory_is_taken_over(
    service: Service,
) -> None:
    with service.db.write() as session:
        pools.pause(session, "service", "all", "me")
    job = jobs.submit(service, trivial()).job
    service.directory(row(service, job.id)).events.append(
        "status", source="runner", status="succeeded"
    )
    assert reconcile.reconcile(service, thorough=False).taken_over == 0
    assert reconcile.reconcile(service).taken_over == 1
    assert row(service, job.id).status == "succeeded"


def test_a_waiting_job_gets_the_slot_that_nobody_announced(service: Service) -> None:
    with service.db.write() as session:
        pools.pause(session, "service", "all", "me")
    job = jobs.submit(service, trivial()).job
    with service.db.write() as session:
        pools.resume(session, "service", "all")
    assert reconcile.reconcile(service).admitted == 1
    assert service.queue.has("default", job.id, 1)


def test_without_redis_the_rest_is_done(
    service_home: Path, new_database_url: Callable[..., str]
) -> None:
    settings = Settings(
        home=service_home,
        redis_url=f"unix://{service_home}/none.sock",
        database_url=new_database_url("sqlite"),
    )
    service = Service.open(settings)
    add_worker(service, slots=4)
    _admitted(service)
    claimed = _claimed(service)
    report = reconcile.reconcile(service)
    assert (report.put, report.interrupted) == (0, 1)
    assert row(service, claimed.id).status == "queued"


def test_a_job_that_cannot_be_put_right_holds_up_nobody(service: Service) -> None:
    broken, fine = _claimed(service), _claimed(service)
    path = service.path(broken)
    path.rename(path.with_name("gone"))
    assert reconcile.reconcile(service).interrupted == 1
    assert row(service, fine.id).interruptions == 1


def test_left_overs_are_removed_and_accepted_jobs_are_not(service: Service) -> None:
    job = _admitted(service)
    path = service.path(job)
    old, new = path.with_name(".draft-OLD"), path.with_name(".draft-NEW")
    known, deleted = path.with_name(f".draft-{job.id}"), path.with_name(".deleted-X")
    upload = service.home.path / "uploads" / "abc"
    for folder in (old, new, known, deleted, upload, path.with_name("OLD")):
        folder.mkdir(parents=True, exist_ok=True)
    (old / "file").write_text("x")
    long_ago = time.time() - 2 * 24 * 3600
    for folder in (old / "file", old, known, upload):
        os.utime(folder, (long_ago, long_ago))
    assert reconcile.sweep(service) == 3
    assert [p.exists() for p in (old, path.with_name("OLD"), deleted, upload)] == [False] * 4
    assert [p.exists() for p in (new, known, path)] == [True] * 3


def test_expired_keys_and_workers_long_dead_are_removed(service: Service) -> None:
    key = IdempotencyKey("scope", "key", "0" * 64)
    jobs.submit(service, trivial(), key)
    dead = add_worker(service)
    with service.db.write() as session:
        session.get_one(Idempotency, ("scope", "key")).created = "2026-01-01T00:00:00.000Z"
        session.get_one(Worker, dead).heartbeat = "2026-01-01T00:00:00.000Z"
    assert reconcile.sweep(service) == 2
    assert reconcile.sweep(service) == 0
    with service.db.read() as session:
        assert session.get(Worker, dead) is None


def test_of_several_hosts_one_reconciles(service: Service) -> None:
    def mine() -> AbstractContextManager[bool]:
        return lease(service.home.path, "reconciler")

    with mine() as first, mine() as second:
        assert (first, second) == (True, False)
    with mine() as again:
        assert again


def test_a_job_is_not_claimed_for_an_old_admission(service: Service) -> None:
    job = _claimed(service)
    reconcile.reconcile(service)
    assert jobs.claim(service, job.id, job.fence, "late") is None
    assert admit(service) == 0


def test_an_attempt_that_somebody_started_by_hand_and_killed_is_continued(
    service: Service,
) -> None:
    with service.db.write() as session:
        pools.pause(session, "service", "all", "jane")
    job_id = jobs.submit(service, trivial()).job.id
    begin(service.place(row(service, job_id)))
    reconcile.reconcile(service)  # what it wrote is taken over, and both locks are free
    job = row(service, job_id)
    assert (job.status, job.interruptions, job.claimed_by) == ("queued", 1, None)


def test_a_job_whose_directory_is_gone_is_given_up(service: Service) -> None:
    job = _claimed(service)
    shutil.rmtree(service.path(job))
    reconcile.reconcile(service)
    found = row(service, job.id)
    assert (found.status, found.admitted) == ("failed", None)
