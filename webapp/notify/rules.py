"""Who is told of what."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runner.events import Event
from webapp.instances import Instance
from webapp.models import ENDED
from webapp.service import Service
from webapp.settings import Settings

MAIL = "email"  # target of mails; no webhook may be called so
DEFAULT_ENDS = ("succeeded", "failed")
CHANNEL = "jobrunner:outbox"  # says that there is something to send
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
# One address and nothing else: no blank, comma, bracket, quote or control character, and no address
# that would need SMTPUTF8.
ADDRESS = rf"^{_WORD}(\.{_WORD})*@{_LABEL}(\.{_LABEL})*$"
LONGEST_ADDRESS = 254
_ADDRESS = re.compile(ADDRESS)


def is_address(text: str) -> bool:
    """Tell whether `text` is an e-mail address that can be written to."""
    local, _, _ = text.partition("@")
    short = len(text) <= LONGEST_ADDRESS and len(local) <= 64
    return short and _ADDRESS.fullmatch(text) is not None


def name_of(event: Event) -> str | None:
    """Give the name under which others may ask for an event; None: nobody is told of it.

    Examples
    --------
    >>> name_of({"kind": "stage", "stage": "read", "status": "failed"})
    'stage.failed'
    """
    if event["kind"] == "status":
        return f"job.{event['status']}"
    if event["kind"] == "stage":
        return f"stage.{event['status']}"
    return f"job.{event['kind']}" if event["kind"] in ("progress", "note") else None


def wants_mail(event: Event, ends: Sequence[str], cancelled_by: str | None, user: str) -> bool:
    """Tell whether the people whom a job names are told of an event by mail.

    Parameters
    ----------
    event : Event
        What happened.
    ends : sequence of str
        The ends that they asked to be told of.
    cancelled_by : str or None
        Who cancelled the job, if somebody is known to have done so.
    user : str
        Whose job it is: they know what they cancelled, everybody else's doing is news.
    """
    if event["kind"] != "status" or event["status"] not in ENDED:
        return False
    if event["status"] in ends:
        return True
    return event["status"] == "cancelled" and cancelled_by != user


def has_mail_server(settings: Settings, instance: Instance | None) -> bool:
    """Tell whether mails about jobs of an instance can be sent at all."""
    return bool(settings.mail or (instance and instance.mail.server))


def warnings(service: Service, instance: str, notify: Sequence[str]) -> tuple[str, ...]:
    """Give what a submitter who names addresses should know."""
    found = service.instances.all().get(instance)
    if not notify or has_mail_server(service.settings, found):
        return ()
    return ("No mail will be sent to those of notify: the service has no mail server.",)
