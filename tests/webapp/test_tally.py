"""What monitors are told is counted once, whoever takes events over and however often."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text

from tests.webapp.attempts import stage, write
from tests.webapp.running import until
from tests.webapp.worlds import make_home, open_service, row, trivial
from webapp import jobs, streaks
from webapp.jobs.fold import changing
from webapp.models import Job, JobEvent, StageFailure, Tally
from webapp.service import Service

_attempts = st.integers(1, 3)
_events = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("status"),
         "status": st.sampled_from(["queued", "running", "succeeded", "failed", "cancelled"])}
    ),
    st.fixed_dictionaries(
        {"kind": st.just("attempt"), "attempt": _attempts,
         "status": st.sampled_from(["started", "succeeded", "interrupted", "timed_out"])}
    ),
    st.fixed_dictionaries(
        {"kind": st.just("stage"), "attempt": _attempts, "stage": st.sampled_from("ab"),
         "status": st.sampled_from(["running", "succeeded", "failed"])}
    ),
)  # fmt: skip


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[Service]:
    make_home(tmp_path / "home")
    opened = open_service(tmp_path / "home", database_url)
    yield opened
    opened.db.engine.dispose()


def tallies(service: Service) -> dict[tuple[Any, ...], float]:
    with service.db.read() as session:
        return {
            (t.name, *json.loads(t.labels).values(), t.bucket): round(t.number, 6)
            for t in session.scalars(select(Tally))
        }


def lasting(service: Service, number: int = 2) -> dict[tuple[str, str], int]:
    with service.db.read() as session:
        return streaks.lasting(session, number)


def fold_anew(service: Service, job_id: str) -> None:
    """Take the events of a job over once more from the first, as into an empty database."""
    with service.db.write() as session:
        for table in (Tally, StageFailure, JobEvent):
            session.execute(delete(table))
        job = session.get(Job, job_id)
        assert job is not None
        job.events_seen, job.events_offset, job.queued = 0, 0, None
    jobs.take_over(service, job_id)


@settings(
    max_examples=30,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(chunks=st.lists(st.lists(_events, max_size=6), max_size=5))
def test_a_whole_log_gives_the_same_tallies_as_its_pieces(
    service: Service, chunks: list[list[dict[str, Any]]]
) -> None:
    with service.db.write() as session:
        for table in (Tally, StageFailure):
            session.execute(delete(table))
    job_id = jobs.submit(service, trivial()).job.id
    for chunk in chunks:
        for event in chunk:
            write(service, job_id, **event)
        jobs.take_over(service, job_id)
    piecewise, failing = tallies(service), lasting(service, 1)
    fold_anew(service, job_id)
    assert (tallies(service), lasting(service, 1)) == (piecewise, failing)


def test_what_happened_to_a_job_is_in_the_tallies(service: Service) -> None:
    job_id = jobs.submit(service, trivial()).job.id
    write(service, job_id, kind="attempt", status="started", attempt=1)
    submitted = row(service, job_id).submitted
    for time, event in (
        (submitted, {"kind": "status", "status": "running"}),
        ("2026-11-22T10:00:00.000Z", {"kind": "stage", "stage": "a", "status": "running"}),
        ("2026-11-22T10:00:07.500Z", {"kind": "stage", "stage": "a", "status": "running"}),
        ("2026-11-22T10:00:20.250Z", {"kind": "stage", "stage": "a", "status": "succeeded"}),
        ("2026-11-22T10:00:21.000Z", {"kind": "attempt", "status": "succeeded"}),
        ("2026-11-22T10:00:21.000Z", {"kind": "status", "status": "succeeded"}),
    ):
        write(service, job_id, time=time, attempt=1, **event)
    jobs.take_over(service, job_id)
    assert tallies(service) == {
        ("jobrunner_attempts", "default", "succeeded", "trivial", ""): 1,
        ("jobrunner_jobs_ended", "default", "succeeded", "trivial", ""): 1,
        ("jobrunner_stages", "succeeded", "a", "trivial", ""): 1,
        ("jobrunner_stage_duration_seconds", "a", "trivial", "60"): 1,
        ("jobrunner_stage_duration_seconds", "a", "trivial", "sum"): 20.25,
        ("jobrunner_start_latency_seconds", "default", "default", "0.1"): 1,
        ("jobrunner_start_latency_seconds", "default", "default", "sum"): 0,
    }


def test_what_people_say_of_stages_is_not_counted(service: Service) -> None:
    job_id = jobs.submit(service, trivial()).job.id
    write(service, job_id, kind="stage", stage="made up", status="failed", source="jane")
    jobs.take_over(service, job_id)
    assert (tallies(service), lasting(service, 1)) == ({}, {})


def test_a_rule_that_fails_several_times_in_an_attempt_is_one_failure(service: Service) -> None:
    job_id = jobs.submit(service, trivial()).job.id
    for attempt in (1, 1, 2):
        stage(service, job_id, "failed", attempt=attempt)
    assert tallies(service) == {("jobrunner_stages", "failed", "a", "trivial", ""): 2}
    assert lasting(service) == {}, "it is the same job each time"


def test_a_streak_counts_different_jobs_and_ends_with_a_success(service: Service) -> None:
    first, second = (jobs.submit(service, trivial()).job.id for _ in range(2))
    stage(service, first, "failed")
    stage(service, first, "failed", name="b")
    assert lasting(service) == {}
    stage(service, second, "failed")
    assert lasting(service) == {("trivial", "a"): 2}
    with service.db.read() as session:
        assert streaks.latest(session, ("trivial", "a"), 5) == [second, first]
    stage(service, first, "succeeded", attempt=2)
    assert lasting(service, 1) == {("trivial", "b"): 1}


def test_failures_of_long_ago_are_counted_but_start_no_streak(service: Service) -> None:
    job_id = jobs.submit(service, trivial()).job.id
    write(service, job_id, kind="stage", stage="a", status="failed", attempt=1)
    with service.db.write() as session:
        job = jobs.get(session, job_id, lock=True)
        jobs.absorb(service, session, job, service.directory(job), quietly=True)
    assert tallies(service) == {("jobrunner_stages", "failed", "a", "trivial", ""): 1}
    assert lasting(service, 1) == {}


def test_what_a_transaction_takes_back_is_not_counted(service: Service) -> None:
    job_id = jobs.submit(service, trivial()).job.id
    write(service, job_id, kind="attempt", status="failed", attempt=1)
    with pytest.raises(RuntimeError), changing(service, job_id):
        raise RuntimeError
    assert tallies(service) == {}
    jobs.take_over(service, job_id)
    assert list(tallies(service).values()) == [1]


def test_many_at_once_lose_no_count_and_never_wait_for_each_other(service: Service) -> None:
    """Jobs whose events come in opposite orders, in transactions that overlap."""
    job_ids = [jobs.submit(service, trivial()).job.id for _ in range(8)]
    outcomes = ["failed", "succeeded", "timed_out", "interrupted"]
    problems: list[BaseException] = []

    def work(job_id: str, order: list[str]) -> None:
        try:
            for attempt in range(1, 13):
                for outcome in order:
                    write(service, job_id, kind="attempt", status=outcome, attempt=attempt)
                for name in "ab" if order is outcomes else "ba":
                    result = "failed" if attempt % 2 else "succeeded"
                    write(
                        service, job_id,
                        kind="stage", stage=name, status=result, attempt=attempt,
                    )  # fmt: skip
                jobs.take_over(service, job_id)
        except BaseException as error:
            problems.append(error)

    orders = (outcomes, outcomes[::-1])
    threads = [
        threading.Thread(target=work, args=(job_id, orders[number % 2]))
        for number, job_id in enumerate(job_ids)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    found = tallies(service)
    of = {name: sum(n for key, n in found.items() if key[0] == name) for name in
          ("jobrunner_attempts", "jobrunner_stages")}  # fmt: skip
    assert of == {"jobrunner_attempts": 8 * 12 * 4, "jobrunner_stages": 8 * 12 * 2}


@pytest.mark.parametrize("kind", ["attempt", "stage"])
def test_opposite_orders_of_events_make_no_deadlock(service: Service, kind: str) -> None:
    """Transactions that all have to wait, and go on at the same moment, pass one by one."""
    outcomes = ["failed", "succeeded", "timed_out", "interrupted"]
    job_ids = [jobs.submit(service, trivial()).job.id for _ in range(8)]
    for turn in ("failed", "succeeded"):  # at first there are rows to be waited for
        for number, job_id in enumerate(job_ids):
            step = 1 if number % 2 else -1
            for outcome in outcomes[::step] if kind == "attempt" else ():
                write(service, job_id, kind="attempt", status=outcome, attempt=1)
            for name in "abcd"[::step] if kind == "stage" else ():
                write(service, job_id, kind="stage", stage=name, status=turn, attempt=1)
            if turn == "failed":
                jobs.take_over(service, job_id)
    with ThreadPoolExecutor(len(job_ids)) as threads:
        with service.db.write() as session:
            for table in (Tally, StageFailure):
                session.scalars(select(table).with_for_update()).all()
            done = [threads.submit(jobs.take_over, service, job_id) for job_id in job_ids]
            if not service.db.is_sqlite:  # there they wait before they begin
                until(lambda: _waiting(service) == len(job_ids), "all wait")
        for future in done:
            future.result()
    assert lasting(service, 1) == {}
    assert set(tallies(service).values()) == {16 if kind == "attempt" else 8}


def _waiting(service: Service) -> int:
    """How many transactions wait for another one."""
    query = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with service.db.read() as session:
        return int(session.scalar(text(query)) or 0)


def test_counting_costs_a_transaction_one_statement_however_much_there_is_to_count(
    service: Service, count_statements: Callable[[Service, str], list[str]]
) -> None:
    job_id = jobs.submit(service, trivial()).job.id
    statements = count_statements(service, "INSERT INTO tallies")
    for status in ("running", "failed", "queued", "running", "succeeded"):
        write(service, job_id, kind="status", status=status)
    for attempt, status in enumerate(("failed", "succeeded"), 1):
        write(service, job_id, kind="attempt", status=status, attempt=attempt)
    jobs.take_over(service, job_id)
    assert len(statements) == 1


@pytest.fixture
def count_statements() -> Callable[[Service, str], list[str]]:
    """Collect the statements that begin with some words."""
    from sqlalchemy import event

    def collect(service: Service, words: str) -> list[str]:
        found: list[str] = []

        @event.listens_for(service.db.engine, "before_cursor_execute")
        def seen(_: Any, __: Any, statement: str, *___: Any) -> None:
            if statement.startswith(words):
                found.append(statement)

        return found

    return collect
