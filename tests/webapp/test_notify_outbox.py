"""Who is told of what: rows of the outbox, made with the change that they tell of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.webapp.notices import deliveries, end, make_service, submit, tell
from webapp import jobs, notify
from webapp.api.schemas import JobOut
from webapp.notify import facts
from webapp.service import Service

MAIL = "smtp://mail.example.org"


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    """A service with a mail server and a webhook, neither of which is ever asked."""
    found = make_service(
        tmp_path,
        database_url,
        "https://explorer.example.org/hook",
        '["job.failed", "stage.*"]',
        mail=MAIL,
        alert_to=("ops@example.org",),
    )
    yield found
    found.db.engine.dispose()


def _mails(service: Service, job_id: str) -> list[str]:
    return [row.event for row in deliveries(service, job_id=job_id, kind="email")]


def test_the_addresses_of_a_job_get_one_mail_at_its_end(service: Service) -> None:
    job_id = submit(service, ["jane@example.org", "joe@example.org", "jane@example.org"])
    assert deliveries(service) == []
    end(service, job_id)
    (row,) = deliveries(service)
    assert row.recipients == ["jane@example.org", "joe@example.org"]
    assert (row.event, row.state, row.lane) == ("job.succeeded", "waiting", f"{job_id}:email")


def test_a_rerun_ends_anew_and_is_told_of_anew(service: Service) -> None:
    job_id = submit(service)
    end(service, job_id)
    tell(service, job_id, {"status": "queued", "options": {}})
    end(service, job_id)
    assert _mails(service, job_id) == ["job.succeeded", "job.succeeded"]


@pytest.mark.parametrize(
    ("notify_on", "by", "told"),
    [
        (("succeeded", "failed"), "jane", False),
        (("succeeded", "failed"), "an-operator", True),
        (("cancelled",), "jane", True),
        ((), "jane", False),
        ((), "an-operator", True),
    ],
)
@pytest.mark.parametrize("runs", [False, True])
def test_of_a_cancelled_job_are_told_those_who_asked_or_did_not_do_it(
    service: Service, notify_on: tuple[str, ...], by: str, told: bool, runs: bool
) -> None:
    job_id = submit(service, notify_on=notify_on)
    if runs:
        tell(service, job_id, {"status": "running"})
    jobs.cancel(service, job_id, by)
    if runs:
        tell(service, job_id, {"status": "stopping"}, {"status": "cancelled"})
    assert _mails(service, job_id) == (["job.cancelled"] if told else [])


def test_who_cancelled_an_earlier_attempt_has_not_cancelled_this_one(service: Service) -> None:
    job_id = submit(service)
    jobs.cancel(service, job_id, "jane")
    jobs.rerun(service, job_id, "jane")
    end(service, job_id, "cancelled")
    assert _mails(service, job_id) == ["job.cancelled"]


@pytest.mark.parametrize("ends", [["succeeded"], ["failed"], ["succeeded", "failed"]])
@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_people_are_told_of_the_ends_that_they_asked_for(
    service: Service, ends: list[str], status: str
) -> None:
    job_id = submit(service, notify_on=ends)
    end(service, job_id, status)
    assert _mails(service, job_id) == ([f"job.{status}"] if status in ends else [])


def test_who_is_told_is_kept_by_a_resubmission(service: Service) -> None:
    job_id = submit(service, notify_on=["failed"])
    again = jobs.resubmit(service, job_id, "jane").job
    end(service, again.id)
    assert _mails(service, again.id) == []
    queue = service.directory(again).config["queue"]
    assert (queue["notify"], queue["notify_on"]) == (["jane@example.org"], ["failed"])


def test_a_webhook_is_told_of_the_events_that_it_subscribes_to_in_their_order(
    service: Service,
) -> None:
    job_id = submit(service, [])
    stages = [{"kind": "stage", "stage": "one", "status": s} for s in ("running", "failed")]
    error = {"code": "x", "message": "no", "stage": "one", "problems": []}
    tell(service, job_id, {"status": "running"}, *stages, {"kind": "log", "message": "line"})
    tell(service, job_id, {"kind": "progress", "done": 1, "total": 2})
    tell(service, job_id, {"status": "failed", "error": error})
    rows = deliveries(service, kind="webhook")
    assert [row.event for row in rows] == ["stage.running", "stage.failed", "job.failed"]
    assert [row.data["job"]["status"] for row in rows] == ["running", "running", "failed"]
    assert {row.lane for row in rows} == {f"{job_id}:explorer"}
    assert rows[-1].data["event"]["error"] == rows[-1].data["job"]["error"] == error


def test_a_webhook_shows_a_job_as_the_api_does(service: Service) -> None:
    job_id = submit(service, [])
    with service.db.read() as session:
        job = jobs.get(session, job_id)
    shown = JobOut.of(job).model_dump(mode="json")
    assert {**facts.job_facts(job), "title": None} == shown


def test_of_many_problems_the_first_are_told_and_how_many_more_there_are(
    service: Service,
) -> None:
    problems = [{"message": f"row {n}"} for n in range(1000)]
    error = {"code": "x", "message": "no", "stage": None, "problems": problems}
    end(service, submit(service), "failed", error=error)
    for row in deliveries(service):
        told = row.data["job"]["error"]
        assert (told["problems"], told["more_problems"]) == (problems[:20], 980)
        assert len(json.dumps(row.data)) < 10_000


def test_a_job_whose_directory_is_gone_is_told_of_by_webhooks(service: Service) -> None:
    job_id = submit(service)
    with service.db.read() as session:
        path = service.path(jobs.get(session, job_id))
    path.rename(path.with_name("elsewhere"))
    jobs.lost(service, job_id)
    assert [(row.kind, row.event) for row in deliveries(service)] == [("webhook", "job.failed")]


def test_what_is_taken_over_quietly_is_told_to_nobody(service: Service) -> None:
    job_id = submit(service)
    with service.db.write() as session:
        job = jobs.get(session, job_id, lock=True)
        directory = service.directory(job)
        directory.events.append("status", source="test", status="failed")
        jobs.absorb(service, session, job, directory, quietly=True)
    assert deliveries(service) == []


def test_a_change_that_is_not_kept_is_told_to_nobody(service: Service) -> None:
    job_id = submit(service)
    with pytest.raises(RuntimeError), service.db.write() as session:  # noqa: PT012
        job = jobs.get(session, job_id, lock=True)
        directory = service.directory(job)
        directory.events.append("status", source="test", status="failed")
        jobs.absorb(service, session, job, directory)
        raise RuntimeError
    assert deliveries(service) == []
    jobs.take_over(service, job_id)
    assert len(deliveries(service)) == 2


def test_an_event_that_is_taken_over_once_more_is_not_told_once_more(service: Service) -> None:
    job_id = submit(service)
    end(service, job_id)
    with service.db.write() as session:
        job = jobs.get(session, job_id, lock=True)
        job.status, job.events_seen, job.events_offset = "queued", 0, 0
        session.execute(text("DELETE FROM events"))
        jobs.absorb(service, session, job, service.directory(job))
    assert len(deliveries(service)) == 1


def test_without_a_mail_server_no_mail_waits_and_the_submitter_is_told(
    tmp_path: Path, new_database_url: Callable[..., str]
) -> None:
    service = make_service(tmp_path, new_database_url("sqlite"))
    submitted = jobs.submit(
        service, jobs.Submission("trivial", "default", "jane", notify=["jane@example.org"])
    )
    assert "no mail server" in " ".join(submitted.warnings)
    end(service, submitted.job.id)
    assert deliveries(service) == []
    service.db.engine.dispose()


def test_operators_are_told_of_an_incident_when_it_begins_and_when_it_ends(
    service: Service,
) -> None:
    for began in (True, False):
        with service.db.write() as session:
            notify.alert(
                service, session, key="disk", began=began, subject="Disk", message="It is full."
            )
    rows = deliveries(service)
    assert [row.event for row in rows] == ["alert.began", "alert.ended"]
    assert {(row.lane, row.instance, *row.recipients) for row in rows} == {
        ("alert:disk", None, "ops@example.org")
    }


def test_an_instance_file_that_cannot_be_read_keeps_no_job_from_going_on(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = submit(service)

    def broken() -> None:
        raise OSError("the home is away")

    monkeypatch.setattr(service.instances, "all", broken)
    tell(service, job_id, {"status": "running"}, {"status": "failed"})
    with service.db.read() as session:
        assert jobs.get(session, job_id).status == "failed"
    assert "nobody is told" in caplog.text
