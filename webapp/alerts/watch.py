"""From what is wrong now to incidents that begin and end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from runner.files import now
from webapp.alerts.rules import Finding, findings
from webapp.lease import lease
from webapp.models import INCIDENT_KINDS, Incident
from webapp.notify import outbox
from webapp.service import Service

log = logging.getLogger(__name__)


def watch(service: Service) -> None:
    """Look now and then, for ever; of all processes of a home, one does it."""
    every = service.settings.reconcile_every
    while True:
        try:
            with lease(service.home.path, "alerts") as mine:
                looking = Watch(service)
                while mine:
                    looking.look_again()
                    time.sleep(every)
        except OSError as error:
            log.warning("nobody watches for incidents: %s", error)
        time.sleep(every)


class Watch:
    """Compares what is wrong with what operators know.

    Parameters
    ----------
    service : Service
        Whose incidents.
    clock : callable
        Gives the time in seconds, from any moment on.
    """

    def __init__(self, service: Service, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._since: dict[str, float] = {}

    def look_again(self) -> None:
        """Look, and outlive whatever hinders it."""
        try:
            self.look()
        except Exception as error:  # the next look may do better
            log.warning("cannot look for incidents now: %s", error)

    def look(self) -> None:
        """Let incidents begin and end, and tell operators of each.

        Raises
        ------
        DatabaseAway
            If the database does not answer; then all that is wrong must last anew before anybody is
            told, for it may be so only because the database was away.
        """
        try:
            with self._service.db.read() as session:
                lasting = set(_lasting(session))
                found = {f.key: f for f in findings(session, self._service, lasting)}
        except BaseException:
            self._since.clear()
            raise
        due = self._due(found.values())
        if due - lasting or lasting - found.keys():
            with self._service.db.exclusive("incidents") as session:
                self._settle(session, found, due)

    def _due(self, found: Iterable[Finding]) -> set[str]:
        """Give the keys of what has lasted long enough to be told."""
        moment = self._clock()
        self._since = {f.key: self._since.get(f.key, moment) for f in found}
        return {f.key for f in found if moment - self._since[f.key] >= f.patience}

    def _settle(self, session: Session, found: dict[str, Finding], due: set[str]) -> None:
        lasting = _lasting(session)  # somebody else may just have done it
        for key in sorted(due - lasting.keys()):
            _begin(self._service, session, found[key])
        for key in sorted(lasting.keys() - found.keys()):
            _end(self._service, session, lasting[key])


def _lasting(session: Session) -> dict[str, Incident]:
    """Give the incidents that last, of the kinds that we can judge: a newer version has more."""
    query = select(Incident).where(Incident.ended.is_(None), Incident.kind.in_(INCIDENT_KINDS))
    return {incident.key: incident for incident in session.scalars(query)}


def _begin(service: Service, session: Session, finding: Finding) -> None:
    log.warning("an incident has begun: %s", finding.message)
    session.add(Incident(kind=finding.kind, key=finding.key, message=finding.message, began=now()))
    outbox.alert(
        service,
        session,
        key=finding.key,
        began=True,
        subject=finding.subject,
        message=f"{finding.message}\n\n{finding.details}".strip(),
    )


def _end(service: Service, session: Session, incident: Incident) -> None:
    log.warning("an incident has ended: %s", incident.key)
    incident.ended = now()
    outbox.alert(
        service,
        session,
        key=incident.key,
        began=False,
        subject=f"Over: {_ENDS[incident.kind]}",
        message=f"This is over, it lasted from {incident.began} to {incident.ended}:\n\n"
        f"{incident.message}",
    )


_ENDS = {
    "waiting": "jobs no longer wait for a worker",
    "worker": "the vanished worker was replaced or struck off",
    "stage": "the stage that failed has succeeded",
    "disk": "there is enough free disk space again",
}
