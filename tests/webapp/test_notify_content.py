"""What mails and webhooks say, and that nothing in them can do harm."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any

import pytest
from standardwebhooks import Webhook

from runner.files import write_json
from tests.webapp.notices import SECRET, end, submit, tell
from tests.webapp.notifying import Make, make_services, send  # noqa: F401
from tests.webapp.receivers import Hooks, Mailbox, hooks, mailbox  # noqa: F401
from webapp import jobs, notify

_STEPS: list[dict[str, Any]] = [
    {"status": "running", "time": "2026-11-22T14:00:00.000Z"},
    {"kind": "attempt", "status": "started", "time": "2026-11-22T14:00:00.000Z"},
    {"kind": "stage", "stage": "only", "status": "running", "time": "2026-11-22T14:00:00.000Z"},
]
_HTML = "<script>alert(1)</script>"


def _parts(message: EmailMessage) -> tuple[str, str]:
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


def _stage(status: str, time: str) -> dict[str, Any]:
    return {"kind": "stage", "stage": "only", "status": status, "time": time}


def test_a_mail_about_success_says_what_was_done_how_long_it_took_and_where_it_is(
    make: Make,
    mailbox: Mailbox,  # noqa: F811
) -> None:
    service = make(mail=mailbox.address, public_url="https://runner.example.org/")
    job_id = submit(service, tags=["round 2"])
    with service.db.read() as session:
        directory = service.directory(jobs.get(session, job_id))
    (directory.path / "results").mkdir(exist_ok=True)
    headline = {"Datapoints": 1234, "Evil": _HTML}
    write_json(directory.path / "results" / "summary.json", {"headline": headline})
    tell(
        service, job_id, *_STEPS, _stage("succeeded", "2026-11-22T14:01:05.500Z"),
        {"status": "succeeded", "time": "2026-11-22T14:01:06.000Z"},
    )  # fmt: skip
    send(service)
    ((key, _, message),) = mailbox.accepted
    assert message["Subject"].endswith(f"{job_id}: succeeded")
    assert message["From"] == "jobrunner@localhost"
    assert key == f"<{job_id}-6-email@localhost>"
    text, html = _parts(message)
    for said in ("succeeded", "Datapoints", "1234", "1 min", "round 2"):
        assert said in text, said
        assert said in html, said
    assert f"https://runner.example.org/api/v1/jobs/{job_id}" in text
    assert _HTML in text
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_a_mail_about_failure_has_the_first_problems_and_only_text_of_others(
    make: Make,
    mailbox: Mailbox,  # noqa: F811
) -> None:
    service = make(mail=mailbox.address)
    problems = [{"row": n, "sheet": "data", "message": f"bad {_HTML}"} for n in range(50)]
    error = {"code": "data_refused", "message": _HTML, "stage": "only", "problems": problems}
    end(service, submit(service), "failed", error=error)
    send(service)
    text, html = _parts(mailbox.accepted[0][2])
    assert "sheet data, row 9: bad" in text
    assert "row 10:" not in text
    assert "and 40 more" in text
    assert "<script" not in html
    assert "http" not in text, "there is no address of the service to link to"


def test_no_text_can_make_a_header_of_its_own(
    make: Make,
    mailbox: Mailbox,  # noqa: F811
) -> None:
    service = make(mail=mailbox.address, alert_to=("ops@example.org", "a@b.c>\r\nBcc: x@y.z"))
    evil = "Low\r\nBcc: all@example.org\r\n\r\nbody"
    with service.db.write() as session:
        notify.alert(service, session, key=evil, began=True, subject=evil, message="m")
    send(service)
    ((_, to, message),) = mailbox.accepted
    assert to == ["ops@example.org"]
    assert message["Bcc"] is None
    assert message["Subject"] == "Low Bcc: all@example.org body"


@pytest.mark.parametrize(
    "summary", ["no json", "[]", '{"headline": 7}', '{"headline": {"a": {"b": 1}}}', "{}"]
)
def test_whatever_a_job_writes_as_summary_it_is_told_of(
    make: Make,
    mailbox: Mailbox,  # noqa: F811
    summary: str,
) -> None:
    service = make(mail=mailbox.address)
    job_id = submit(service)
    with service.db.read() as session:
        directory = service.directory(jobs.get(session, job_id))
    (directory.path / "results" / "summary.json").write_text(summary)
    end(service, job_id)
    send(service)
    assert len(mailbox.accepted) == 1


def test_a_webhook_is_a_signed_cloud_event(
    make: Make,
    hooks: Hooks,  # noqa: F811
) -> None:
    service = make(hooks.url, public_url="https://runner.example.org")
    job_id = submit(service, [])
    send(service)
    ((headers, body),) = hooks.received
    document = Webhook(SECRET).verify(body, headers)
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    assert document["id"] == headers["webhook-id"] == f"{job_id}-1-explorer"
    told = {name: document[name] for name in ("specversion", "source", "type", "subject")}
    assert told == {
        "specversion": "1.0",
        "source": "https://runner.example.org",
        "type": "ixmp.jobrunner.job.queued",
        "subject": job_id,
    }
    assert document["data"]["job"]["title"] == "Trivial"
    assert document["data"]["event"]["status"] == "queued"
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(SECRET).verify(body.replace(b"queued", b"failed"), headers)
