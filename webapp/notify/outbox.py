"""What is to be told becomes rows of the outbox, in the transaction of the change it tells of."""

from __future__ import annotations

import logging
import re
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from runner.events import Event
from runner.files import now
from runner.jobdir import JobDirectory
from webapp.instances import Instance
from webapp.models import ENDED, Delivery, Job
from webapp.notify import facts, rules
from webapp.service import Service
from webapp.settings import Settings

log = logging.getLogger(__name__)
_Row = dict[str, Any]


def announce(
    service: Service, session: Session, job: Job, directory: JobDirectory | None, event: Event
) -> None:
    """Note down whom an event of a job is to be told.

    What happens to a sub-job is told with its job. A wrong configuration does not keep the job from
    going on: it is logged.

    Parameters
    ----------
    service : Service
        Whose job it is.
    session : Session
        The transaction that takes the event over.
    job : Job
        Its row, with the event applied.
    directory : JobDirectory or None
        Its directory; without one nobody knows who asked for a mail.
    event : Event
        What happened.
    """
    if job.parent is not None or (name := rules.name_of(event)) is None:
        return
    try:
        instance = service.instances.all().get(job.instance)
    except Exception:
        log.exception("nobody is told of event %s of job %s", event["n"], job.id)
        return
    rows = _webhooks(session, job, directory, event, name, instance)
    rows += _mails(service.settings, session, job, directory, event, instance)
    _put(service, session, rows)


def alert(
    service: Service, session: Session, *, key: str, began: bool, subject: str, message: str
) -> None:
    """Note down a mail to the operators about an incident.

    Parameters
    ----------
    key : str
        The incident: its mails arrive in order.
    began : bool
        Whether it began, or ended.
    subject, message : str
        What is said.
    """
    to = [address for address in service.settings.alert_to if rules.is_address(address)]
    if not to or not service.settings.mail:
        log.warning("no mail is sent (JOBRUNNER_ALERT_TO, JOBRUNNER_MAIL): %s", subject)
        return
    what = "began" if began else "ended"
    row = {
        "key": _safe(f"alert-{key[:100]}-{what}-{secrets.token_hex(8)}"),
        "kind": "email",
        "instance": None,
        "target": rules.MAIL,
        "job_id": None,
        "lane": f"alert:{key}",
        "event": f"alert.{what}",
        "recipients": to,
        "data": {"to": to, "subject": subject, "message": message, "time": now()},
    }
    _put(service, session, [row])


def _webhooks(
    session: Session,
    job: Job,
    directory: JobDirectory | None,
    event: Event,
    name: str,
    instance: Instance | None,
) -> list[_Row]:
    hooks = [hook for hook in (instance.webhooks if instance else ()) if hook.wants(name)]
    if not hooks:
        return []
    data: dict[str, Any] = {
        "job": facts.job_facts(job),
        "event": facts.event_facts(event, directory),
    }
    if directory and (parts := facts.sub_job_facts(session, directory, event["n"])):
        data["sub_jobs"] = parts
    return [
        _row(job, event, name, "webhook", hook.name, recipients=[hook.name], data=data)
        for hook in hooks
    ]


def _mails(
    settings: Settings,
    session: Session,
    job: Job,
    directory: JobDirectory | None,
    event: Event,
    instance: Instance | None,
) -> list[_Row]:
    if event["kind"] != "status" or event["status"] not in ENDED:
        return []
    to, ends = _asked(directory)
    if not to or not rules.has_mail_server(settings, instance):
        return []
    by = facts.cancelled_by(session, job.id, event["n"]) if event["status"] == "cancelled" else None
    if directory is None or not rules.wants_mail(event, ends, by, job.user):
        return []
    told = facts.mail_facts(session, job, directory, event["n"])
    data = {**told, "to": to, "time": event["time"], "by": by}
    return [_row(job, event, f"job.{job.status}", "email", rules.MAIL, recipients=to, data=data)]


def _asked(directory: JobDirectory | None) -> tuple[list[str], list[str]]:
    """Give the addresses that a job names, and the ends that they are told of."""
    queue = (directory.config.get("queue") or {}) if directory else {}
    named = dict.fromkeys(map(str, queue.get("notify") or ()))
    ends = queue.get("notify_on", rules.DEFAULT_ENDS)
    return [address for address in named if rules.is_address(address)], list(ends or ())


def _row(job: Job, event: Event, name: str, kind: str, target: str, **further: Any) -> _Row:
    return {
        "key": _safe(f"{job.id}-{event['n']}-{target}"),
        "kind": kind,
        "instance": job.instance,
        "target": target,
        "job_id": job.id,
        "lane": f"{job.id}:{target}",
        "event": name,
        **further,
    }


def _put(service: Service, session: Session, rows: list[_Row]) -> None:
    """Write rows; one that is there already (its event is taken over anew) stays as it is."""
    if not rows:
        return
    moment = datetime.now(UTC)
    common = {
        "state": "waiting",
        "tries": 0,
        "history": [],
        "created": now(),
        "next_try": now(),
        "expires": _text(moment + timedelta(hours=service.settings.notice_hours)),
    }
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(Delivery).on_conflict_do_nothing(index_elements=["key"])
    session.execute(statement, [{**row, **common} for row in rows])
    _wake_notifier(service, session)


def _wake_notifier(service: Service, session: Session) -> None:
    """Tell the notifier once the transaction has come through."""
    if not session.info.get("outbox"):
        session.info["outbox"] = True

        def tell(_: Session) -> None:
            session.info["outbox"] = False
            with suppress(Exception):  # it is written down: the notifier looks by itself, too
                service.queue.publish(rules.CHANNEL)

        sqlalchemy_event.listen(session, "after_commit", tell, once=True)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _safe(key: str) -> str:
    """Give a key that can stand in a Message-ID and before the dots of a signature."""
    return re.sub(r"[^A-Za-z0-9-]", "_", key)
