"""What is an incident."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp import pools, streaks
from webapp.models import Job, Worker, is_whole
from webapp.service import Service

_ENOUGH = 1.1  # times the limit that must be free for low disk space to have ended


@dataclass(frozen=True)
class Finding:
    """Something that is wrong now.

    Attributes
    ----------
    kind : str
        One of ``models.INCIDENT_KINDS``.
    key : str
        What it is about: there is one incident at a time of the same key.
    subject, message : str
        What operators are told: in a line, and at length.
    details : str
        What only the mail says.
    patience : float
        Seconds that it must last before anybody is told.
    """

    kind: str
    key: str
    subject: str
    message: str
    details: str = ""
    patience: float = 0.0


def findings(session: Session, service: Service, lasting: Collection[str]) -> list[Finding]:
    """Give what is wrong now.

    Parameters
    ----------
    session : Session
        To read from.
    service : Service
        Whose state it is.
    lasting : collection of str
        Keys of the incidents that operators know of.
    """
    found = [finding for rule in _RULES for finding in rule(session, service)]
    return [*found, *_disk(service, lasting)]


def _waiting(session: Session, service: Service) -> Iterator[Finding]:
    """Find pools without a worker for which jobs wait; what is paused waits because it shall."""
    paused = pools.pauses(session)
    if pools.service_is_paused(paused):
        return
    names = {kind: [n for k, n in paused if k == kind] for kind in ("instance", "pool")}
    waits = (Job.status == "queued") & Job.admitted.is_(None) & is_whole()
    query = select(Job.pool, func.count()).where(
        waits, Job.instance.not_in(names["instance"]), Job.pool.not_in(names["pool"])
    )
    served = {worker.pool for worker in pools.living(session, service.settings)}
    for pool, number in session.execute(query.group_by(Job.pool)):
        if pool not in served:
            yield Finding(
                kind="waiting",
                key=f"waiting:{pool}",
                subject=f"Jobs wait and pool {pool} has no worker",
                message=f"No worker of pool {pool} is alive, and jobs wait for one. Start one: "
                f"`jobrunner worker --pool {pool}`, or see why it does not run.",
                details=f"{number} jobs waited at that moment.",
                patience=service.settings.alert_waiting,
            )


def _workers(session: Session, service: Service) -> Iterator[Finding]:
    """Find workers that were not heard of, have not signed off, and have nobody in their place."""
    lately = pools.seconds_ago(service.settings.worker_lost_after)
    query = select(Worker.host, Worker.pool, func.max(Worker.heartbeat))
    for host, pool, heartbeat in session.execute(query.group_by(Worker.host, Worker.pool)):
        if heartbeat < lately:
            yield Finding(
                kind="worker",
                key=f"worker:{host}:{pool}",
                subject=f"The worker of pool {pool} on {host} has vanished",
                message=f"The worker of pool {pool} on host {host} was last heard of at "
                f"{heartbeat} and has not signed off. Its jobs are queued again and continue "
                "elsewhere. Start it again, or see what became of the host.",
                # after the database was away, workers need a moment to tell that they live
                patience=2 * service.settings.heartbeat,
            )


def _stages(session: Session, service: Service) -> Iterator[Finding]:
    """Find stages that have failed for several jobs in a row."""
    number = service.settings.alert_failures
    for stage, failed in streaks.lasting(session, number).items():
        type_name, name = stage
        ids = ", ".join(streaks.latest(session, stage, number))
        yield Finding(
            kind="stage",
            key=f"stage:{type_name}:{name}",
            subject=f"Stage {name} of {type_name} fails for one job after the other",
            message=f"Stage {name} of job type {type_name} has failed for {failed} jobs in a row. "
            "That is more likely a fault of its environment, platform or release than of the "
            "jobs.",
            details=f"The last of them: {ids}. Their logs say more.",
        )


def _disk(service: Service, lasting: Collection[str]) -> Iterator[Finding]:
    """Tell whether too little is free; a byte more or less must not make a mail each."""
    low = service.settings.disk_low
    free = shutil.disk_usage(service.home.disk).free
    if free < low * (_ENOUGH if "disk" in lasting else 1):
        yield Finding(
            kind="disk",
            key="disk",
            subject=f"The disk of the job runner runs low: {free // 10**6} MB are free",
            message=f"{free // 10**6} MB are free where the jobs are; {low // 10**6} MB are "
            "wanted (JOBRUNNER_DISK_LOW). Work files of the oldest succeeded jobs are removed, "
            "then no more jobs are taken. `jobrunner clean --dry-run` says what could go.",
        )


_RULES: tuple[Callable[[Session, Service], Iterator[Finding]], ...] = (_waiting, _workers, _stages)
