"""A sub-job has a row like any job; what runs, waits and counts as a slot is its whole job."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from sqlalchemy import select

from runner import sub_jobs
from runner.jobdir import JobDirectory
from tests.webapp.attempts import end
from tests.webapp.families import (
    PARTS,
    STAGES,
    failed,
    family_service,  # noqa: F401
    run_parts,
    say,
    start,
    statuses,
    submit,
    succeeded,
    take,
)
from tests.webapp.worlds import assert_counts_are_true, row, trivial
from webapp import admission, jobs, listing
from webapp.alerts.rules import findings
from webapp.api import overview
from webapp.jobs import Conflict
from webapp.listing import Filters, Order
from webapp.metrics import work
from webapp.models import Artifact, Job, JobCount, JobEvent, JobWord, StageFailure, Tally, Worker
from webapp.reconcile import reconcile
from webapp.service import Service

ALL = ("", *PARTS)


def artifacts(service: Service, job_id: str) -> list[str]:
    with service.db.read() as session:
        query = select(Artifact.path).where(Artifact.job_id == job_id).order_by(Artifact.path)
        return list(session.scalars(query))


def tallies(service: Service, name: str) -> dict[str, float]:
    with service.db.read() as session:
        query = select(Tally.labels, Tally.number).where(Tally.name == name, Tally.bucket == "")
        return {labels: number for labels, number in session.execute(query)}


def test_each_sub_job_is_a_job_of_its_own_type_from_the_start(service: Service) -> None:
    job_id = submit(service, tags=["round 1"], priority=3)
    whole = row(service, job_id)
    for name in PARTS:
        part = row(service, f"{job_id}.{name}")
        assert (part.type, part.parent, part.status) == ("toy", job_id, "queued")
        assert part.directory == f"{whole.directory}/sub_jobs/{name}"
        for shared in ("version", "digest", "instance", "profile", "pool", "user", "tags",
                       "priority", "submitted"):  # fmt: skip
            assert getattr(part, shared) == getattr(whole, shared), shared
        assert service.directory(part).path == service.path(part)
        assert service.path(part).is_dir()
    assert whole.parent is None
    assert_counts_are_true(service)


def test_only_the_whole_takes_a_slot_and_counts_for_limits(service: Service) -> None:
    first, second = submit(service, instance="other"), submit(service, instance="other")
    admission.admit(service)
    with service.db.read() as session:
        admitted = list(session.scalars(select(Job.id).where(Job.admitted.is_not(None))))
        assert admitted == [first]
        waiting = admission.waiting(session, service, row(service, second))
        assert waiting is not None
        assert (waiting.position, waiting.code) == (1, "instance_limit")
        part = admission.waiting(session, service, row(service, f"{second}.left"))
        assert part == waiting
        queue = overview.queue(session, service, None, 10)
        assert [found.id for found in queue.waiting] == [second]
        assert [(pool.waiting, pool.running) for pool in queue.pools] == [(1, 1)]
        told = {metric.name: metric.samples for metric in work.jobs(session)}
        assert [s.value for s in told["jobrunner_jobs_waiting"]] == [1]
    assert jobs.claim(service, f"{first}.left", 0, "worker-1") is None


def test_a_sub_job_waits_for_what_comes_before_it_in_its_job(service: Service) -> None:
    directory = take(service, job_id := submit(service))
    start(service, directory)
    say(service, directory, "left_first", "running")
    with service.db.read() as session:
        found = admission.waiting(session, service, row(service, f"{job_id}.right"))
    assert found is not None
    assert (found.position, found.code) == (None, "sub_jobs_before")
    assert job_id in found.message


def test_sub_jobs_without_a_worker_are_no_incident(service: Service) -> None:
    start(service, take(service, submit(service)))
    with service.db.write() as session:
        for worker in session.scalars(select(Worker)):
            session.delete(worker)
    with service.db.read() as session:
        assert [found.kind for found in findings(session, service, ())] == []


def test_each_follows_its_own_stages(service: Service) -> None:
    directory = take(service, job_id := submit(service))
    start(service, directory)
    say(service, directory, "apart_first", "running")
    assert statuses(service, job_id) == dict(zip(ALL, ("running", "queued", "queued", "running"),
                                                 strict=True))  # fmt: skip
    for stage in STAGES:
        say(service, directory, f"apart_{stage}", "running", "succeeded")
    assert statuses(service, job_id)["apart"] == "succeeded"
    assert row(service, job_id).status == "running"
    part = row(service, f"{job_id}.apart")
    assert part.started is not None
    assert part.finished is not None
    assert part.attempt == 1
    assert (part.admitted, part.claimed_by) == (None, None)
    jobs.cancel(service, job_id, "jane")
    assert statuses(service, job_id) == dict(zip(ALL, ("stopping", "queued", "queued", "succeeded"),
                                                 strict=True))  # fmt: skip
    end(service, directory, "cancelled")
    assert statuses(service, job_id) == dict(
        zip(ALL, ("cancelled", "cancelled", "cancelled", "succeeded"), strict=True)
    )
    assert_counts_are_true(service)


def test_each_has_its_own_artifacts_events_and_words(service: Service) -> None:
    job_id = succeeded(service, tags=["round 1"])
    assert artifacts(service, job_id) == ["results/sum.txt"]
    for name in PARTS:
        part = f"{job_id}.{name}"
        assert artifacts(service, part) == ["results/summary.json", "results/third.txt"]
        with service.db.read() as session:
            stages = [event.data["stage"] for event in session.scalars(
                select(JobEvent).where(JobEvent.job_id == part, JobEvent.kind == "stage")
            )]  # fmt: skip
            words = set(session.scalars(select(JobWord.word).where(JobWord.job_id == part)))
        assert list(dict.fromkeys(stages)) == list(STAGES)
        assert words >= {name, "toy", "jane", "round 1"}


def test_a_failed_one_says_why_in_its_own_words(service: Service) -> None:
    job_id = failed(service)
    assert statuses(service, job_id) == dict(
        zip(ALL, ("failed", "failed", "cancelled", "succeeded"), strict=True)
    )
    error = row(service, f"{job_id}.left").error
    assert error is not None
    assert (error["code"], error["stage"]) == ("stage_failed", "first")
    assert "no such word" in error["message"]
    assert row(service, f"{job_id}.right").error is None


def test_no_credential_gets_into_the_error_of_a_sub_job(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = service.home.path / "config" / "profiles" / "secret.yaml"
    profile.write_text("platform: {dsn: env:FAMILY_DSN}\nenvironments: none\n")
    monkeypatch.setenv("FAMILY_DSN", "postgresql://joe:very-secret@127.0.0.1/none")
    directory = take(service, job_id := submit(service, profile="secret"))
    start(service, directory)
    logs = directory.path / "sub_jobs" / "left" / "logs"
    logs.mkdir(parents=True)
    (logs / "first.log").write_text("cannot log in as joe with very-secret\n")
    say(service, directory, "left_first", "running", "failed")
    error = row(service, f"{job_id}.left").error
    assert error is not None
    assert "cannot log in as joe with ***" in error["message"]
    assert "very-secret" not in (logs.parent / "events.jsonl").read_text()


def test_monitors_count_it_as_a_job_of_its_type_but_no_attempt_and_no_start(
    service: Service,
) -> None:
    succeeded(service)
    ended = tallies(service, "jobrunner_jobs_ended")
    assert {label.partition('"type": ')[2]: n for label, n in ended.items()} == {
        '"pair"}': 1, '"toy"}': 3
    }  # fmt: skip
    assert list(tallies(service, "jobrunner_attempts").values()) == [1]
    stages = tallies(service, "jobrunner_stages")
    assert {label.partition('"stage": ')[2]: n for label, n in stages.items()} == {
        '"sum", "type": "pair"}': 1,
        **{f'"{stage}", "type": "toy"}}': 3 for stage in STAGES},
    }
    with service.db.read() as session:
        query = select(Tally.number).where(Tally.name == "jobrunner_start_latency_seconds",
                                           Tally.bucket != "sum")  # fmt: skip
        assert list(session.scalars(query)) == [1]


def test_a_stage_that_fails_in_sub_jobs_is_one_of_their_type(service: Service) -> None:
    ids = set()
    for _ in range(2):
        directory = take(service, job_id := submit(service))
        start(service, directory)
        say(service, directory, "left_first", "running", "failed")
        ids.add(f"{job_id}.left")
    with service.db.read() as session:
        found = session.scalars(select(StageFailure)).all()
        assert {(f.type, f.stage, f.job_id) for f in found} == {("toy", "first", i) for i in ids}


def test_lists_have_them_by_type_and_parent_or_leave_them_out(service: Service) -> None:
    job_id = submit(service)
    alone = jobs.submit(service, trivial()).job.id

    def listed(**given: Any) -> tuple[set[str], dict[str, int] | None]:
        with service.db.read() as session:
            filters = Filters(**given)
            page = listing.page(session, filters, Order.parse(None), 50)
            return {job.id for job in page.jobs}, listing.counts(session, filters)

    parts = {f"{job_id}.{name}" for name in PARTS}
    for given, ids in (
        ({}, {job_id, alone, *parts}),
        ({"type": "toy"}, parts),
        ({"parent": job_id}, parts),
        ({"sub_jobs": False}, {job_id, alone}),
        ({"sub_jobs": False, "type": "toy"}, set()),
        ({"sub_jobs": False, "text": job_id}, {job_id}),
        ({"text": f"{job_id} right"}, {f"{job_id}.right"}),
    ):
        found, counts = listed(**given)
        assert found == ids, given
        assert counts is not None
        assert sum(counts.values()) == len(ids), given


def test_what_is_changed_of_the_job_is_changed_of_its_sub_jobs(service: Service) -> None:
    job_id = succeeded(service)
    jobs.change(service, job_id, "joe", tags=["final"], priority=9, pinned=True)
    for name in PARTS:
        part = row(service, f"{job_id}.{name}")
        assert (part.tags, part.priority, part.pinned) == (["final"], 9, True)
        with service.db.read() as session:
            tags = select(JobWord.word).where(JobWord.job_id == part.id, JobWord.kind == "tag")
            assert list(session.scalars(tags)) == ["final"]


def test_what_is_only_done_to_the_whole_is_refused_with_advice(service: Service) -> None:
    job_id = succeeded(service)
    part = f"{job_id}.left"
    for call in (
        lambda: jobs.cancel(service, part, "jane"),
        lambda: jobs.change(service, part, "jane", priority=1),
        lambda: jobs.delete(service, part),
        lambda: jobs.resubmit(service, part, "jane"),
        lambda: jobs.append(service, part, "hpc", "note", "2026-11-22T01:02:03.004Z", message="x"),
    ):
        with pytest.raises(Conflict, match=rf"is a sub-job\. .* a part of: {job_id}\."):
            call()
    assert list(service.directory(row(service, part)).events.read())[-1]["kind"] == "status"
    assert not list((service.home.path / "unsettled").glob("*"))


def test_it_is_run_again_alone_by_an_attempt_of_its_job(service: Service) -> None:
    job_id = succeeded(service)
    before = row(service, f"{job_id}.left")
    done = jobs.rerun(service, f"{job_id}.left", "joe", stage="second", only=True)
    assert (done.id, done.status) == (f"{job_id}.left", "queued")
    wanted = {"stage": "second", "only": True, "sub_job": "left"}
    assert row(service, job_id).next_options == wanted
    assert statuses(service, job_id) == dict(
        zip(ALL, ("queued", "queued", "succeeded", "succeeded"), strict=True)
    )
    with pytest.raises(Conflict, match=f"Job {job_id} is queued"):
        jobs.rerun(service, f"{job_id}.right", "joe")
    claim = jobs.claim(service, job_id, row(service, job_id).fence, "worker-1")
    assert claim is not None
    assert claim.options == wanted
    start(service, claim.directory, "left_second")
    say(service, claim.directory, "left_second", "running", "succeeded")
    end(service, claim.directory, "succeeded")
    part = row(service, f"{job_id}.left")
    assert (part.status, part.attempt) == ("succeeded", 2)
    assert part.started is not None
    assert before.finished is not None
    assert part.started >= before.finished
    assert row(service, f"{job_id}.right").attempt == 1


def test_a_stage_that_it_has_not_is_not_run(service: Service) -> None:
    job_id = succeeded(service)
    with pytest.raises(Exception, match="first, second, third"):
        jobs.rerun(service, f"{job_id}.left", "joe", stage="left_first")
    assert row(service, job_id).status == "succeeded"


def test_who_listens_to_a_sub_job_hears_of_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = take(service, job_id := submit(service))
    start(service, directory)
    heard: list[str] = []
    monkeypatch.setattr(type(service.queue), "publish", lambda _, channel: heard.append(channel))
    say(service, directory, "left_first", "running")
    assert heard == [f"jobrunner:job:{i}" for i in (job_id, *(f"{job_id}.{n}" for n in PARTS))]


def test_a_deleted_job_takes_its_sub_jobs_along_and_nothing_else(service: Service) -> None:
    kept, job_id = succeeded(service), succeeded(service)
    jobs.delete(service, job_id)
    with service.db.read() as session:
        left = set(session.scalars(select(Job.id)))
        assert left == {kept, *(f"{kept}.{name}" for name in PARTS)}
        for model in (JobEvent, JobWord, Artifact):
            assert set(session.scalars(select(model.job_id))) <= left
        assert not any(session.scalars(select(JobCount.sub_jobs).where(JobCount.type == "pair")))
    assert_counts_are_true(service)


def test_the_reconciler_takes_no_sub_job_for_a_job_that_was_lost(service: Service) -> None:
    directory = take(service, job_id := submit(service))
    start(service, directory)
    reconcile(service)
    assert row(service, job_id).status == "queued"  # its supervisor is dead
    assert set(statuses(service, job_id).values()) == {"queued"}
    assert row(service, f"{job_id}.left").claimed_by is None
    run_parts(service, take(service, job_id))
    assert statuses(service, job_id)["left"] == "succeeded"


def test_without_their_directory_all_of_them_have_failed(service: Service) -> None:
    job_id = submit(service)
    path = service.path(row(service, job_id))
    path.rename(path.with_name("elsewhere"))
    reconcile(service)
    assert set(statuses(service, job_id).values()) == {"failed"}
    for name in ALL:
        error = row(service, f"{job_id}.{name}".rstrip(".")).error
        assert error is not None
        assert error["code"] == "directory_gone"
    assert_counts_are_true(service)


def test_sub_jobs_that_could_not_be_written_follow_later(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = take(service, job_id := submit(service))
    start(service, directory)
    say(service, directory, "left_first", "running")

    def full(job: JobDirectory, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(sub_jobs, "sync", full)
        directory.events.append("status", source="runner", status="cancelled", attempt=1)
        jobs.take_over(service, job_id)
        assert reconcile(service).taken_over == 0
    assert row(service, job_id).status == "cancelled"
    assert statuses(service, job_id)["left"] == "running"
    assert reconcile(service).taken_over == 1
    assert statuses(service, job_id)["left"] == "cancelled"
    assert reconcile(service).taken_over == 0
