"""What becomes of a job when its supervisor or its leader dies, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import record
from tests.webapp.attempts import begin, claimed, end
from tests.webapp.worlds import (
    add_worker,
    assert_counts_are_true,
    assert_row_is_directory,
    make_home,
    open_service,
    row,
)
from webapp import jobs
from webapp.db import Database
from webapp.service import Service


@pytest.fixture
def service(database: Database, database_url: str, tmp_path: Path) -> Iterator[Service]:
    make_home(tmp_path / "home", {"default": "", "narrow": "running: 1\n"})
    opened = open_service(tmp_path / "home", database_url, max_interruptions=2)
    add_worker(opened, slots=4)
    yield opened
    opened.db.engine.dispose()


def test_an_interrupted_job_is_continued_a_few_times_and_then_fails(service: Service) -> None:
    job_id, directory = claimed(service)
    for number in (1, 2):
        begin(directory)
        job = jobs.interrupted(service, job_id)
        assert (job.interruptions, row(service, job_id).status) == (number, "queued")
        fence = row(service, job_id).fence
        assert fence == number + 1
        assert jobs.claim(service, job_id, fence - 1, "worker-1") is None
        assert jobs.claim(service, job_id, fence, "worker-1") is not None
    begin(directory)
    jobs.interrupted(service, job_id)
    ended = row(service, job_id)
    assert (ended.status, ended.admitted) == ("failed", None)
    assert ended.error is not None
    assert ended.error["code"] == "interrupted_too_often"
    assert [r["outcome"] for r in record.records(directory)] == ["interrupted"] * 3
    jobs.rerun(service, job_id, "jane")  # a person's wish is a new beginning
    assert row(service, job_id).interruptions == 0
    assert_row_is_directory(service, job_id)
    assert_counts_are_true(service)


def test_an_attempt_whose_leader_keeps_dying_is_given_up_too(service: Service) -> None:
    job_id, directory = claimed(service)
    for _ in range(3):
        begin(directory)
        end(service, directory, "interrupted")  # its supervisor lives and says so
        jobs.claim(service, job_id, row(service, job_id).fence, "worker-1")
    ended = row(service, job_id)
    assert ended.error is not None
    assert (ended.status, ended.error["code"]) == ("failed", "interrupted_too_often")
    assert_row_is_directory(service, job_id)


def test_a_job_is_continued_however_often_its_worker_is_shut_down(service: Service) -> None:
    job_id, directory = claimed(service)
    for number in range(5):
        begin(directory)
        directory.events.append("status", source="runner", attempt=number + 1, status="stopping")
        if number % 2:  # killed before it could put the job back
            jobs.interrupted(service, job_id)
        else:
            end(service, directory, "interrupted")
        job = row(service, job_id)
        assert (job.status, job.interruptions, job.stop_requested) == ("queued", 0, False)
        assert jobs.claim(service, job_id, job.fence, "worker-1") is not None


def test_a_cancel_outlives_a_leader_that_dies_at_the_same_moment(service: Service) -> None:
    job_id, directory = claimed(service)
    begin(directory)
    jobs.cancel(service, job_id, "jane")
    end(service, directory, "interrupted")
    assert row(service, job_id).status == "cancelled"
    assert jobs.rerun(service, job_id, "jane").stop_requested is False
    assert_row_is_directory(service, job_id)


def test_a_supervisor_that_dies_before_the_attempt_counts_as_an_interruption(
    service: Service,
) -> None:
    job_id, _ = claimed(service)
    jobs.interrupted(service, job_id)
    job = row(service, job_id)
    assert (job.status, job.interruptions, job.fence) == ("queued", 1, 2)
    assert_row_is_directory(service, job_id)


def test_a_job_that_was_being_cancelled_when_its_supervisor_died_is_cancelled(
    service: Service,
) -> None:
    job_id, directory = claimed(service)
    begin(directory)
    jobs.cancel(service, job_id, "jane")
    jobs.interrupted(service, job_id)
    assert row(service, job_id).status == "cancelled"
    assert_row_is_directory(service, job_id)
    assert_counts_are_true(service)


def test_a_job_that_had_ended_when_its_supervisor_died_keeps_its_end(service: Service) -> None:
    job_id, directory = claimed(service)
    begin(directory)
    *_, last = record.records(directory)
    record.close(directory, last | {"outcome": "succeeded"})
    jobs.interrupted(service, job_id)
    assert row(service, job_id).status == "succeeded"
    assert_row_is_directory(service, job_id)
