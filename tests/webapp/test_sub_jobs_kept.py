"""Files and rows of sub-jobs are kept, removed and rebuilt with those of their job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import delete, select

from runner.retention import KINDS
from tests.webapp.families import (
    PARTS,
    failed,
    family_service,  # noqa: F401
    say,
    start,
    statuses,
    submit,
    succeeded,
    take,
)
from tests.webapp.retained import hours_ago, told, write_instance
from tests.webapp.tables import rebuilt
from tests.webapp.worlds import assert_counts_are_true, open_service, row
from webapp import jobs, retention
from webapp.models import Artifact, Job, JobEvent
from webapp.reindex import reindex
from webapp.service import Service


def there(service: Service, job_id: str) -> set[str]:
    """Give the kinds of files that the sub-jobs have."""
    root = service.path(row(service, job_id))
    return {kind for kind in KINDS for name in PARTS if any(root.glob(f"sub_jobs/{name}/{kind}/*"))}


def ended_long_ago(service: Service, **given: Any) -> str:
    """Give the id of a job that ended ten hours ago."""
    job_id = succeeded(service, **given)
    directory = service.directory(row(service, job_id))
    directory.events.append("status", source="test", status="succeeded", time=hours_ago(10))
    jobs.take_over(service, job_id)
    return job_id


def test_one_sweep_removes_the_files_of_a_job_and_of_its_sub_jobs(service: Service) -> None:
    job_id, other = ended_long_ago(service), succeeded(service)
    write_instance(service, "default", "retention: {work: 1h, results: 2h, logs: 3h}\n")
    report = retention.Sweeper(service).sweep()
    assert (report.jobs, report.hindered) == (1, set())
    assert report.removed["work"][0].files == len(PARTS)
    assert there(service, job_id) == set()
    assert there(service, other) == set(KINDS)
    whole = row(service, job_id)
    for name in PARTS:
        part = row(service, f"{job_id}.{name}")
        assert told(part) == set(KINDS)
        assert part.results_removed == whole.results_removed
        with service.db.read() as session:
            noted = select(Artifact.path).where(Artifact.job_id == part.id)
            assert not list(session.scalars(noted))
            notes = select(JobEvent).where(JobEvent.job_id == part.id, JobEvent.kind == "note")
            assert [event.data["why"] for event in session.scalars(notes)] == ["age"]
    assert retention.Sweeper(service).sweep().jobs == 0


def test_the_policy_of_the_whole_decides_whatever_its_sub_jobs_types_say(
    service: Service,
) -> None:
    job_id = ended_long_ago(service)
    with service.db.write() as session:
        for name in PARTS:
            jobs.get(session, f"{job_id}.{name}").finished = hours_ago(10)
    write_instance(service, "default", "types: {pair: {}, toy: {retention: {results: 1h}}}\n")
    assert retention.survey(service)["results"].jobs == 0
    assert retention.Sweeper(service).sweep().jobs == 0
    assert there(service, job_id) == set(KINDS)


def test_the_pin_of_the_whole_keeps_the_files_of_its_sub_jobs(service: Service) -> None:
    job_id = ended_long_ago(service)
    jobs.change(service, job_id, "joe", pinned=True)
    write_instance(service, "default", "retention: {work: 1h, results: 1h, logs: 1h}\n")
    assert retention.Sweeper(service).sweep().jobs == 0
    assert there(service, job_id) == set(KINDS)


def test_what_would_go_is_counted_with_the_files_of_sub_jobs(service: Service) -> None:
    ended_long_ago(service)
    write_instance(service, "default", "retention: {work: 1h, results: forever}\n")
    found = retention.survey(service)["work"]
    assert (found.jobs, found.files, found.bytes) == (1, len(PARTS), len("".join(PARTS)))


def test_a_sub_job_that_runs_again_has_its_files_and_the_others_have_not(
    service: Service,
) -> None:
    job_id = ended_long_ago(service)
    write_instance(service, "default", "retention: {work: 1h}\n")
    retention.Sweeper(service).sweep()
    jobs.rerun(service, f"{job_id}.left", "joe")
    directory = take(service, job_id)
    start(service, directory, "left_first")
    say(service, directory, "left_first", "running")
    assert row(service, f"{job_id}.left").work_removed is None
    assert row(service, f"{job_id}.right").work_removed is not None


@pytest.fixture
def lose(service: Service, new_database_url: Callable[..., str]) -> Iterator[Service]:
    """The same service with a new, empty database."""
    kind = "sqlite" if service.db.is_sqlite else "postgresql"
    found = open_service(service.home.path, new_database_url(kind))
    yield found
    found.db.engine.dispose()


def test_rows_of_sub_jobs_are_rebuilt_as_they_were(service: Service, lose: Service) -> None:
    made = [succeeded(service, tags=["x"], priority=2), failed(service), submit(service)]
    jobs.change(service, made[0], "joe", tags=["y"], pinned=True)
    made.append(ended_long_ago(service))
    write_instance(service, "default", "retention: {work: 1h, results: 1h}\n")
    retention.Sweeper(service).sweep()
    made.append(succeeded(service))
    jobs.rerun(service, f"{made[-1]}.left", "joe", stage="second")
    directory = take(service, submit(service))
    start(service, directory)
    say(service, directory, "left_first", "running")
    made.append(directory.id)
    (service.path(row(service, f"{made[0]}.left")) / "events.jsonl").unlink()
    report = reindex(lose)
    assert (report.problems, report.added, report.found) == ([], len(made), len(made))
    wanted, found = rebuilt(service.db), rebuilt(lose.db)
    assert found["jobs"] == wanted["jobs"]
    assert found == wanted
    assert_counts_are_true(lose)
    assert statuses(lose, made[1]) == statuses(service, made[1])


def test_a_second_reindex_changes_nothing_and_finds_what_is_missing(service: Service) -> None:
    job_id = succeeded(service)
    before = rebuilt(service.db)
    assert reindex(service).updated == 0
    with service.db.write() as session:
        session.execute(delete(Artifact).where(Artifact.job_id == f"{job_id}.left"))
    assert reindex(service).updated == 1
    assert rebuilt(service.db) == before
    with service.db.write() as session:
        session.execute(delete(Job))
    assert reindex(service).added == 1
    assert rebuilt(service.db)["jobs"] == before["jobs"]
