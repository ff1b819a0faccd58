"""500 jobs of 8 threads through the API of a real service: limits, order, and all of them end."""

from __future__ import annotations

import json
import random
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.webapp.running import Running, open_running, until
from tests.webapp.worlds import assert_counts_are_true, make_home
from webapp import pools
from webapp.models import Job, Worker

LIMITS = {"one": 1, "two": 2, "four": 4}
SHARE = {"one": 0.2, "two": 0.3, "four": 0.5}  # the narrow ones get fewer jobs
JOBS, THREADS, SLOTS = 500, 8, 8


@dataclass(frozen=True)
class Ran:
    """A job as its directory tells of it."""

    id: str
    instance: str
    priority: int
    submitted: str
    started: str
    ended: str
    early: bool


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Running]:
    """A whole service whose three instances have limits."""
    instances = {name: f"running: {limit}\n" for name, limit in LIMITS.items()}
    running = open_running(make_home(tmp_path / "home", instances).path)
    running.up(slots=SLOTS)
    until(lambda: _workers(running), "the worker is there")
    yield running
    running.stop()


def _ask(
    running: Running, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{running.url}/api/v1{path}",
        data=json.dumps(body).encode() if body is not None else b"",
        headers={"Authorization": f"Bearer {running.token}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _workers(running: Running) -> list[Worker]:
    with running.service.db.read() as session:
        return pools.living(session, running.service.settings)


def _submit(running: Running, seed: int) -> str:
    draw = random.Random(seed)
    (instance,) = draw.choices(list(SHARE), list(SHARE.values()))
    body = {"type": "trivial", "instance": instance, "priority": draw.randint(-2, 2)}
    return str(_ask(running, "POST", "/jobs", body)["id"])


@pytest.mark.xdist_group("load")
def test_500_jobs_of_8_threads_pass_no_limit_keep_their_order_and_all_succeed(
    loaded: Running,
) -> None:
    with ThreadPoolExecutor(THREADS) as threads:
        # more slots than all limits together, whatever this machine has
        _ask(loaded, "PUT", "/pools/default/capacity", {"slots": SLOTS, "cores": SLOTS})
        _ask(loaded, "POST", "/queue/pause")
        early = list(threads.map(lambda n: _submit(loaded, n), range(JOBS // 2)))
        _ask(loaded, "POST", "/queue/resume")
        late = list(threads.map(lambda n: _submit(loaded, n), range(JOBS // 2, JOBS)))
    statuses = until(lambda: _all_ended(loaded), "all jobs end", 400)
    assert statuses == {job_id: "succeeded" for job_id in (*early, *late)}
    ran = _from_the_directories(loaded, set(early))
    _assert_limits(ran)
    for instance, limit in LIMITS.items():
        _assert_order([job for job in ran if job.instance == instance and job.early], limit)
    _assert_strict_order([job for job in ran if job.instance == "one"])
    assert_counts_are_true(loaded.service)


def _all_ended(running: Running) -> dict[str, str]:
    statuses = running.statuses()
    open_ones = [status for status in statuses.values() if status in ("queued", "running")]
    return {} if open_ones or len(statuses) < JOBS else statuses


def _from_the_directories(running: Running, early: set[str]) -> list[Ran]:
    with running.service.db.read() as session:
        jobs = list(session.scalars(select(Job)))
    found = []
    for job in jobs:
        events = list(running.service.directory(job).events.read())
        started, ended = (event["time"] for event in events if event["kind"] == "attempt")
        assert events[-1]["status"] == job.status
        found.append(Ran(job.id, job.instance, job.priority, events[0]["time"], started, ended,
                         job.id in early))  # fmt: skip
    return found


def _assert_limits(ran: list[Ran]) -> None:
    changes = [(job.started, 1, job.instance) for job in ran]
    changes += [(job.ended, -1, job.instance) for job in ran]
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for _, change, instance in sorted(changes):  # within a millisecond ends go first
        running[instance] += change
        most[instance] = max(most[instance], running[instance])
    assert most == LIMITS  # never passed, and made use of


def _assert_order(ran: list[Ran], limit: int) -> None:
    """Of jobs that all waited from the start: nobody starts before who stands behind him.

    As many as the limit are on their way at once, so their first words may come in any order.
    """
    in_order = sorted(ran, key=lambda job: (-job.priority, job.id))
    rank = {job.id: number for number, job in enumerate(in_order)}
    for position, job in enumerate(sorted(ran, key=lambda job: job.started)):
        assert rank[job.id] < position + limit, (job, position)


def _assert_strict_order(ran: list[Ran]) -> None:
    """One at a time: each is the first of those that waited when the one before it ended."""
    waiting = sorted(ran, key=lambda job: job.started)
    for before, job in pairwise(waiting):
        behind = [other for other in ran if other.started > job.started]
        for other in behind:
            if other.submitted < before.ended:
                assert (-job.priority, job.id) < (-other.priority, other.id)
