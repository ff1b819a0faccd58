"""Many processes submit, admit, claim, cancel and finish at once, and no limit is passed."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from runner import record
from runner.options import RunOptions
from tests.webapp.worlds import (
    add_worker,
    assert_counts_are_true,
    assert_row_is_directory,
    make_home,
    open_service,
    trivial,
)
from webapp import jobs
from webapp.admission import admit
from webapp.db import Database
from webapp.jobs import Conflict, IdempotencyKey
from webapp.models import ENDED, Job
from webapp.service import Service

SPAWN = multiprocessing.get_context("spawn")
LIMITS = {"one": 1, "two": 2, "four": 4}
SLOTS, EACH, SUBMITTERS, WORKERS = 5, 12, 2, 4


@pytest.fixture
def service(database: Database, database_url: str, tmp_path: Path) -> Iterator[Service]:
    instances = {name: f"running: {limit}\n" for name, limit in LIMITS.items()}
    make_home(tmp_path / "home", instances)
    opened = open_service(tmp_path / "home", database_url, worker_lost_after=600)
    yield opened
    opened.db.engine.dispose()


def _submit(home: Path, url: str, seed: int) -> None:
    service, draw = open_service(home, url, worker_lost_after=600), random.Random(seed)
    for _ in range(EACH):
        priority = draw.randint(-2, 2)
        jobs.submit(service, trivial(draw.choice(list(LIMITS)), priority=priority))


def _work(home: Path, url: str, name: str) -> None:
    """Take every admission that is seen, whoever else sees it, and play its attempt."""
    service, draw = open_service(home, url, worker_lost_after=600), random.Random(name)
    while not _all_ended(service):
        admit(service)
        for job_id, fence in _admitted(service):
            claim = jobs.claim(service, job_id, fence, name)
            if claim is not None:
                _attempt(service, claim.directory, draw)


def _attempt(service: Service, directory: Any, draw: random.Random) -> None:
    record.begin(directory, len(list(record.records(directory))) + 1, [], RunOptions())
    jobs.take_over(service, directory.id)
    time.sleep(draw.random() * 0.02)  # the work
    interrupted = draw.random() < 0.2
    *_, last = record.records(directory)
    record.close(directory, last | {"outcome": "interrupted" if interrupted else "succeeded"})
    jobs.finished(service, directory.id)


def _disturb(home: Path, url: str, name: str) -> None:
    """Change, cancel and rerun jobs in all states."""
    service, draw = open_service(home, url, worker_lost_after=600), random.Random(name)
    while not _all_ended(service):
        with service.db.read() as session:
            ids = list(session.scalars(select(Job.id)))
        if not ids:
            continue
        job_id = draw.choice(ids)
        jobs.change(service, job_id, "jane", priority=draw.randint(-3, 3))
        try:
            act = jobs.cancel if draw.random() < 0.3 else jobs.take_over
            act(service, job_id, *(("jane",) if act is jobs.cancel else ()))
        except Conflict:
            pass


def _admitted(service: Service) -> list[tuple[str, int]]:
    query = select(Job.id, Job.fence).where(Job.admitted.is_not(None), Job.claimed_by.is_(None))
    with service.db.read() as session:
        return [(job_id, fence) for job_id, fence in session.execute(query)]


def _all_ended(service: Service) -> bool:
    """All that will come have come, and ended; on the way, no limit is seen passed."""
    query = select(Job.instance, func.count()).where(Job.admitted.is_not(None))
    with service.db.read() as session:
        used = {name: number for name, number in session.execute(query.group_by(Job.instance))}
        ended = session.scalar(select(func.count()).where(Job.status.in_(ENDED)))
    assert all(number <= LIMITS[name] for name, number in used.items()), used
    assert sum(used.values()) <= SLOTS, used
    return ended == SUBMITTERS * EACH


def test_no_limit_is_passed_and_no_admission_taken_twice(
    service: Service, database_url: str
) -> None:
    add_worker(service, slots=SLOTS)
    home = service.home.path
    acting = [
        SPAWN.Process(target=_submit, args=(home, database_url, n)) for n in range(SUBMITTERS)
    ]
    acting += [
        SPAWN.Process(target=_work, args=(home, database_url, f"w{n}")) for n in range(WORKERS)
    ]
    acting += [SPAWN.Process(target=_disturb, args=(home, database_url, "d"))]
    for process in acting:
        process.start()
    for process in acting:
        process.join(120)
    assert [process.exitcode for process in acting] == [0] * len(acting)
    with service.db.read() as session:
        found = list(session.scalars(select(Job)))
    assert len(found) == SUBMITTERS * EACH
    for job in found:
        assert_row_is_directory(service, job.id)
    assert_counts_are_true(service)
    _assert_limits_from_the_events(service, found)


def _assert_limits_from_the_events(service: Service, found: list[Job]) -> None:
    """Replay the directories: how many jobs of an instance ran at any time."""
    changes: list[tuple[str, int, str]] = []
    for job in found:
        runs = False
        for event in service.directory(job).events.read():
            if event["kind"] == "attempt":
                starts = event["status"] == "started"
                assert starts != runs, (job.id, event)  # never two attempts at once
                runs = starts
                changes.append((event["time"], 1 if starts else -1, job.instance))
    running: Counter[str] = Counter()
    for _, change, instance in sorted(changes):  # within a millisecond ends go first
        running[instance] += change
        assert running[instance] <= LIMITS[instance]
        assert running.total() <= SLOTS


def _submit_same(home: Path, url: str, barrier: Any, answers: Any) -> None:
    service = open_service(home, url)
    barrier.wait(30)
    found = jobs.submit(service, trivial("one"), IdempotencyKey("token", "key", "body"))
    answers.put((found.job.id, found.created))


def test_one_request_that_is_sent_by_four_at_once_makes_one_job(
    service: Service, database_url: str
) -> None:
    barrier, answers = SPAWN.Barrier(4), SPAWN.Queue()
    arguments = (service.home.path, database_url, barrier, answers)
    senders = [SPAWN.Process(target=_submit_same, args=arguments) for _ in range(4)]
    for sender in senders:
        sender.start()
    given = [answers.get(timeout=60) for _ in senders]
    for sender in senders:
        sender.join()
    assert len({job_id for job_id, _ in given}) == 1
    assert sorted(created for _, created in given) == [False, False, False, True]
    day = [path for path in service.home.jobs.glob("*/*/*/*")]
    assert [path.name for path in day] == [given[0][0]]  # the drafts of the others are gone
    assert_counts_are_true(service)
