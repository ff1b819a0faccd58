"""What people may ask of a job, on both databases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from runner.errors import InvalidRequest, NotFound
from tests.webapp.attempts import begin, claimed, end, run
from tests.webapp.worlds import (
    add_worker,
    assert_counts_are_true,
    assert_row_is_directory,
    make_home,
    open_service,
    row,
    trivial,
)
from webapp import jobs
from webapp.db import Database
from webapp.jobs import Conflict
from webapp.models import Base, JobCount
from webapp.service import Service


@pytest.fixture
def service(database: Database, database_url: str, tmp_path: Path) -> Iterator[Service]:
    make_home(tmp_path / "home", {"default": "", "narrow": "running: 1\n"})
    opened = open_service(tmp_path / "home", database_url, max_interruptions=2)
    add_worker(opened, slots=4)
    yield opened
    opened.db.engine.dispose()


def test_a_job_that_was_accepted_has_a_slot_at_once_if_there_is_one(service: Service) -> None:
    job = row(service, jobs.submit(service, trivial()).job.id)
    assert (job.status, job.fence, job.claimed_by) == ("queued", 1, None)
    assert job.admitted is not None


def test_an_admission_is_claimed_once_and_an_old_one_never(service: Service) -> None:
    job_id = jobs.submit(service, trivial()).job.id
    assert jobs.claim(service, job_id, 0, "worker-1") is None
    assert jobs.claim(service, job_id, 2, "worker-1") is None
    assert jobs.claim(service, job_id, 1, "worker-1") is not None
    assert jobs.claim(service, job_id, 1, "worker-1") is None
    assert jobs.claim(service, "0123456789", 1, "worker-1") is None


def test_a_job_that_ends_leaves_its_slot_to_the_next_and_its_files_to_be_listed(
    service: Service,
) -> None:
    first, directory = claimed(service, instance="narrow")
    second = jobs.submit(service, trivial("narrow")).job.id
    assert row(service, second).admitted is None
    begin(directory)
    (directory.path / "results" / "only.txt").write_text("word\n")
    end(service, directory, "succeeded")
    ended = row(service, first)
    assert (ended.status, ended.admitted, ended.claimed_by) == ("succeeded", None, None)
    assert row(service, second).admitted is not None
    assert ended.started is not None
    assert ended.finished is not None
    with service.db.read() as session:
        artifacts = Base.metadata.tables["artifacts"]
        found = session.execute(select(artifacts.c.path, artifacts.c.bytes)).all()
    assert [tuple(artifact) for artifact in found] == [("results/only.txt", 5)]
    assert_counts_are_true(service)


def test_a_waiting_job_is_cancelled_at_once_and_is_never_claimed(service: Service) -> None:
    job_id = jobs.submit(service, trivial()).job.id
    cancelled = jobs.cancel(service, job_id, "jane")
    assert (cancelled.status, cancelled.admitted) == ("cancelled", None)
    assert jobs.claim(service, job_id, cancelled.fence, "worker-1") is None
    event = list(service.directory(cancelled).events.read())[-1]
    assert (event["source"], event["by"]) == ("api", "jane")
    with pytest.raises(Conflict, match="was cancelled"):
        jobs.cancel(service, job_id, "jane")
    assert_counts_are_true(service)


def test_a_running_job_is_asked_to_stop_once_and_is_cancelled_by_its_end(service: Service) -> None:
    job_id, directory = claimed(service)
    begin(directory)
    for _ in range(2):
        assert jobs.cancel(service, job_id, "jane").status == "stopping"
    assert [e["status"] for e in directory.events.read() if e["kind"] == "status"].count(
        "stopping"
    ) == 1
    assert row(service, job_id).admitted is not None  # it has its slot until it has stopped
    end(service, directory, "cancelled")
    assert (row(service, job_id).status, row(service, job_id).stop_requested) == (
        "cancelled", False,
    )  # fmt: skip
    assert_row_is_directory(service, job_id)


def test_a_cancel_between_claim_and_start_is_not_forgotten(service: Service) -> None:
    job_id, directory = claimed(service)
    jobs.cancel(service, job_id, "jane")
    begin(directory)  # the runner says "running" after it
    assert jobs.take_over(service, job_id).stop_requested


def test_a_job_that_has_ended_can_be_run_again_from_a_stage(service: Service) -> None:
    job_id, _ = run(service, "failed")
    assert row(service, job_id).error is not None
    again = jobs.rerun(service, job_id, "jane", stage="only", only=True)
    assert (again.status, again.error, again.finished) == ("queued", None, None)
    with pytest.raises(Conflict, match="cancel it first"):
        jobs.rerun(service, job_id, "jane")
    fence = row(service, job_id).fence
    assert fence == 2
    claim = jobs.claim(service, job_id, fence, "worker-1")
    assert claim is not None
    assert claim.options == {"stage": "only", "only": True}
    begin(claim.directory)
    end(service, claim.directory, "succeeded")
    jobs.rerun(service, job_id, "jane")
    assert row(service, job_id).next_options == {}  # the stage was for that one time
    assert_counts_are_true(service)


def test_a_stage_that_there_is_not_cannot_be_run_again(service: Service) -> None:
    job_id, _ = run(service)
    with pytest.raises((InvalidRequest, NotFound), match="nothing"):
        jobs.rerun(service, job_id, "jane", stage="nothing")
    assert row(service, job_id).status == "succeeded"


def test_priority_tags_and_pin_change_and_are_in_the_directory(service: Service) -> None:
    job_id, directory = run(service)
    changed = jobs.change(service, job_id, "jane", priority=7, tags=["b", "a"], pinned=True)
    assert (changed.priority, changed.tags, changed.pinned) == (7, ["b", "a"], True)
    (event,) = (e for e in directory.events.read() if "changes" in e)
    assert event["by"] == "jane"
    changed = jobs.change(service, job_id, "jane", tags=[])
    assert (changed.priority, changed.tags, changed.pinned) == (7, [], True)


def test_a_higher_priority_goes_first_from_the_moment_it_is_asked_for(service: Service) -> None:
    running, directory = claimed(service, instance="narrow")
    older, younger = (jobs.submit(service, trivial("narrow")).job.id for _ in range(2))
    jobs.change(service, younger, "jane", priority=1)
    begin(directory)
    end(service, directory, "succeeded")
    assert row(service, running).status == "succeeded"
    assert row(service, younger).admitted is not None
    assert row(service, older).admitted is None


def test_only_a_job_that_has_ended_and_is_not_pinned_is_deleted_and_leaves_nothing(
    service: Service,
) -> None:
    job_id, directory = claimed(service)
    with pytest.raises(Conflict, match="cancel it first"):
        jobs.delete(service, job_id)
    begin(directory)
    end(service, directory, "succeeded")
    jobs.change(service, job_id, "jane", pinned=True)
    with pytest.raises(Conflict, match="pinned"):
        jobs.delete(service, job_id)
    jobs.change(service, job_id, "jane", pinned=False)
    jobs.delete(service, job_id)
    assert list(directory.path.parent.iterdir()) == []
    with service.db.read() as session:
        for name in ("jobs", "events", "job_words", "artifacts", "idempotency"):
            table = Base.metadata.tables[name]
            assert session.scalar(select(func.count()).select_from(table)) == 0, name
        assert all(count.number == 0 for count in session.scalars(select(JobCount)))
    with pytest.raises(NotFound):
        jobs.delete(service, job_id)


def test_a_resubmitted_job_is_a_new_one_with_the_inputs_and_changes(service: Service) -> None:
    job_id, directory = run(service, params={"word": "one"}, tags=["blue"], priority=5)
    again = jobs.resubmit(service, job_id, "john", params={"word": "two"}).job
    assert again.id != job_id
    found = service.directory(again).config
    assert (found["params"], found["submitted"]["by"]) == ({"word": "two"}, "john")
    assert (again.tags, again.priority) == (["blue"], 5)
    assert service.directory(row(service, job_id)).config == directory.config
    back = jobs.resubmit(service, again.id, "john", params={"word": None}).job
    assert service.directory(back).config["params"] == {"word": "word"}


def test_work_done_elsewhere_is_told_in_an_order_that_can_be(service: Service) -> None:
    with service.db.write() as session:
        for worker in session.scalars(select(Base.metadata.tables["workers"].c.id)):
            session.execute(
                Base.metadata.tables["workers"].delete().where(
                    Base.metadata.tables["workers"].c.id == worker
                )
            )  # fmt: skip
    job_id = jobs.submit(service, trivial()).job.id
    when = "2026-01-01T00:00:00.000Z"
    with pytest.raises(Conflict, match="succeeded"):
        jobs.append(service, job_id, "elsewhere", "status", when, status="succeeded")
    for status in ("running", "succeeded"):
        job = jobs.append(service, job_id, "elsewhere", "status", when, status=status)
        assert job.status == status
    assert (job.started, job.finished) == (when, when)
    with pytest.raises(Conflict, match="nothing may follow"):
        jobs.append(service, job_id, "elsewhere", "status", when, status="running")


def test_a_job_with_a_slot_is_told_of_by_its_own_worker_only(service: Service) -> None:
    job_id, _ = claimed(service)
    with pytest.raises(Conflict, match="its own worker"):
        jobs.append(service, job_id, "elsewhere", "status", "2026-01-01T00:00:00.000Z",
                    status="running")  # fmt: skip


def test_a_job_whose_directory_is_gone_fails_and_frees_its_slot(service: Service) -> None:
    first, directory = claimed(service, instance="narrow")
    second = jobs.submit(service, trivial("narrow")).job.id
    shutil.rmtree(directory.path)
    jobs.lost(service, first)
    job = row(service, first)
    assert (job.status, job.admitted, job.error and job.error["code"]) == (
        "failed",
        None,
        "directory_gone",
    )
    assert row(service, second).admitted is not None
    assert_counts_are_true(service)


def test_a_job_is_not_given_up_while_the_folder_of_all_jobs_is_away(service: Service) -> None:
    job_id, _ = claimed(service)
    service.home.jobs.rename(service.home.path / "unmounted")
    jobs.lost(service, job_id)
    assert row(service, job_id).status == "queued"
