"""The rows of a job are what its directory's events say, whoever wrote them and whenever."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from tests.webapp.worlds import (
    assert_counts_are_true,
    assert_row_is_directory,
    make_home,
    open_service,
    row,
    trivial,
)
from webapp import jobs
from webapp.db import Database
from webapp.models import ENDED, STATUSES, JobEvent, JobWord
from webapp.service import Service

SPAWN = multiprocessing.get_context("spawn")
_text = st.text(min_size=0, max_size=8)
_events = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("status"), "status": st.sampled_from(STATUSES)},
        optional={"by": _text, "options": st.just({}), "error": st.just({"code": "rule_failed"})},
    ),
    st.fixed_dictionaries(
        {"kind": st.just("attempt"), "attempt": st.integers(1, 5),
         "status": st.sampled_from(["started", "interrupted", "failed"])}
    ),
    st.fixed_dictionaries(
        {"kind": st.just("note"), "message": _text},
        optional={"changes": st.fixed_dictionaries({}, optional={
            "priority": st.integers(-100, 100), "tags": st.lists(_text, max_size=3),
            "pinned": st.booleans()})},
    ),
    st.fixed_dictionaries({"kind": st.just("stage"), "stage": _text, "status": _text}),
    st.fixed_dictionaries({"kind": st.just("progress"), "done": st.integers(0, 9)}),
    st.fixed_dictionaries({"kind": st.sampled_from(["log", "something_new"]), "message": _text}),
)  # fmt: skip


@pytest.fixture
def service(database: Database, database_url: str, tmp_path: Path) -> Iterator[Service]:
    make_home(tmp_path / "home")
    opened = open_service(tmp_path / "home", database_url)
    yield opened
    opened.db.engine.dispose()


@pytest.fixture
def events_of(service: Service) -> Callable[[str], Any]:
    """Give the event log of a job."""

    def give(job_id: str) -> Any:
        with service.db.read() as session:
            return service.directory(jobs.get(session, job_id)).events

    return give


def _rows(service: Service, job_id: str) -> list[dict[str, Any]]:
    """The events as the rows have them, put together again as they stand in the directory."""
    query = select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.n)
    with service.db.read() as session:
        return [
            {"n": e.n, "time": e.time, "kind": e.kind, "source": e.source, "attempt": e.attempt}
            | e.data
            for e in session.scalars(query)
        ]


@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(chunks=st.lists(st.lists(_events, max_size=5), max_size=6))
def test_rows_follow_any_sequence_of_events_however_it_is_cut(
    service: Service, events_of: Callable[[str], Any], chunks: list[list[dict[str, Any]]]
) -> None:
    job_id = jobs.submit(service, trivial()).job.id
    log = events_of(job_id)
    for chunk in chunks:
        for event in chunk:
            log.append(source="test", **event)
        jobs.take_over(service, job_id)
        assert_row_is_directory(service, job_id)
    written = list(log.read())
    assert _rows(service, job_id) == written
    found = row(service, job_id)
    statuses = [event for event in written if event["kind"] == "status"]
    assert found.error == statuses[-1].get("error")
    assert (found.finished is not None) == (found.status in ENDED)
    for name, default in (("priority", 0), ("tags", []), ("pinned", False)):
        said = [e["changes"][name] for e in written if name in e.get("changes", {})]
        assert getattr(found, name) == (said[-1] if said else default)
    assert_counts_are_true(service)


def test_taking_over_twice_changes_nothing(
    service: Service, events_of: Callable[[str], Any]
) -> None:
    job_id = jobs.submit(service, trivial()).job.id
    events_of(job_id).append("status", source="runner", status="running")
    jobs.take_over(service, job_id)
    before = (vars(row(service, job_id)), _rows(service, job_id))
    with service.db.write() as session:
        job = jobs.get(session, job_id, lock=True)
        assert jobs.absorb(service, session, job, service.directory(job)) == []
    jobs.take_over(service, job_id)
    after = (vars(row(service, job_id)), _rows(service, job_id))
    for found in (before[0], after[0]):
        found.pop("_sa_instance_state")
    assert after == before
    assert_counts_are_true(service)


def test_a_job_is_found_by_its_error_only_while_it_has_it(
    service: Service, events_of: Callable[[str], Any]
) -> None:
    job_id = jobs.submit(service, trivial(tags=["blue"])).job.id
    query = select(JobWord.word).where(JobWord.job_id == job_id, JobWord.word == "disk")
    for status, error, words in (
        ("failed", {"code": "disk_full"}, ["disk"]),
        ("queued", None, []),
    ):
        events_of(job_id).append("status", source="test", status=status, error=error)
        jobs.take_over(service, job_id)
        with service.db.read() as session:
            assert list(session.scalars(query)) == words
            assert session.get(JobWord, ("tag", "blue", job_id)) is not None


def test_a_line_that_is_still_being_written_is_taken_over_when_it_is_whole(
    service: Service, events_of: Callable[[str], Any]
) -> None:
    job_id = jobs.submit(service, trivial()).job.id
    log = events_of(job_id)
    log.append("status", source="runner", status="running")
    line = log.path.read_bytes().splitlines(keepends=True)[-1]
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[: -len(line) // 2])
    assert jobs.take_over(service, job_id).status == "queued"
    log.path.write_bytes(whole)
    assert jobs.take_over(service, job_id).status == "running"
    assert_row_is_directory(service, job_id)


def _write(home: Path, url: str, ids: list[str], seed: int) -> None:
    """Append random events to random jobs, and take over now and then."""
    service, draw = open_service(home, url), random.Random(seed)
    for _ in range(40):
        job_id = draw.choice(ids)
        with service.db.read() as session:
            directory = service.directory(jobs.get(session, job_id))
        if draw.random() < 0.5:
            directory.events.append("status", source="test", status=draw.choice(STATUSES))
        else:
            directory.events.append("progress", source="test", done=draw.random())
        if draw.random() < 0.5:
            jobs.take_over(service, draw.choice(ids))


def test_many_processes_that_write_and_take_over_leave_rows_as_the_directories_say(
    service: Service, database_url: str
) -> None:
    ids = [jobs.submit(service, trivial()).job.id for _ in range(4)]
    writers = [
        SPAWN.Process(target=_write, args=(service.home.path, database_url, ids, seed))
        for seed in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    for job_id in ids:
        jobs.take_over(service, job_id)
        assert_row_is_directory(service, job_id)
    with service.db.read() as session:
        number = session.scalar(select(func.count()).select_from(JobEvent))
    assert number == 4 * 40 + len(ids)
    assert_counts_are_true(service)


def test_two_jobs_whose_statuses_change_twice_at_once_do_not_stop_each_other(
    service: Service, events_of: Callable[[str], Any]
) -> None:
    """One goes running → queued → cancelled in one transaction, another queued → cancelled."""
    if service.db.is_sqlite:  # one writer at a time
        return
    first, second = (jobs.submit(service, trivial()).job.id for _ in range(2))
    events_of(first).append("status", source="test", status="running")
    jobs.take_over(service, first)
    events_of(first).append("status", source="test", status="queued")
    canceller = threading.Thread(target=jobs.cancel, args=(service, second, "jane"))
    with service.db.write() as session:
        job = jobs.get(session, first, lock=True)
        jobs.absorb(service, session, job, service.directory(job))
        canceller.start()
        _wait_for_a_lock(service)
        events_of(first).append("status", source="test", status="cancelled")
        jobs.absorb(service, session, job, service.directory(job))
    canceller.join(30)
    assert [row(service, job_id).status for job_id in (first, second)] == ["cancelled"] * 2
    assert_counts_are_true(service)


def _wait_for_a_lock(service: Service) -> None:
    deadline = time.monotonic() + 30
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    while time.monotonic() < deadline:
        with service.db.read() as session:
            if session.scalar(query):
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")
