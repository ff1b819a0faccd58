"""The reconciler: makes true again what a death, or a lost Redis, has left untrue.

Everything it does may be done twice, and at any time.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread
from typing import Any, cast

from sqlalchemy import CursorResult, Select, delete, select
from sqlalchemy.orm import aliased

from runner import leader, record
from runner.errors import JobBusy, JobRunnerError, NotFound
from runner.jobdir import draft_of
from webapp import alerts, jobs, pools, retention, slurm_left, supervisor
from webapp.admission import admit
from webapp.lease import lease
from webapp.models import OPEN, Idempotency, Job, Worker, is_whole
from webapp.queue import QueueAway
from webapp.service import Service

_SETTLING = 2.0  # seconds in which an admitted job is taken by a worker without our help
_DAY = 24 * 3600.0
_THOROUGH_EVERY = 60.0
_SWEEP_EVERY = 3600.0

log = logging.getLogger(__name__)


@dataclass
class Report:
    """What was done.

    Attributes
    ----------
    placed : int
        Accepted jobs whose directory got its place.
    put : int
        Admitted jobs put on the queue again.
    interrupted : int
        Attempts closed whose supervisor and leader were dead.
    taken_over : int
        Jobs whose directory had events that the database had not.
    admitted : int
        Waiting jobs that got a slot.
    swept : int
        Left-overs removed.
    """

    placed: int = 0
    put: int = 0
    interrupted: int = 0
    taken_over: int = 0
    admitted: int = 0
    swept: int = 0

    def __bool__(self) -> bool:
        return any(asdict(self).values())


def watch(service: Service) -> None:
    """Reconcile now and then, for ever; of all hosts, one does it."""
    thorough, swept = _Every(_THOROUGH_EVERY), _Every(_SWEEP_EVERY)
    # threads: to delete many files takes longer than a lost job, or an operator, should wait
    Thread(target=retention.watch, args=(service,), name="retention", daemon=True).start()
    Thread(target=alerts.watch, args=(service,), name="alerts", daemon=True).start()
    Thread(target=slurm_left.watch, args=(service,), name="slurm", daemon=True).start()
    while True:
        with lease(service.home.path, "reconciler") as mine:
            if mine:
                try:
                    if report := reconcile(service, thorough=thorough.is_due()):
                        log.info("%s", report)
                    if swept.is_due():
                        sweep(service)
                except Exception:  # the next round may do better
                    log.exception("the reconciler is hindered")
        time.sleep(service.settings.reconcile_every)


def reconcile(service: Service, *, thorough: bool = True) -> Report:
    """Compare rows, directories, locks and queue, and put right what differs.

    Parameters
    ----------
    service : Service
        Whose jobs.
    thorough : bool
        Look at the directories of all jobs that have not ended, not only at those with a slot.
    """
    report = Report(taken_over=jobs.settle_notes(service))
    which = Job.status.in_(OPEN) if thorough else Job.admitted.is_not(None)
    with service.db.read() as session:
        query = select(Job).where(which, is_whole())
        for job in session.scalars(query.execution_options(yield_per=1000)):
            with _tolerance(service, job):
                _look_at(service, job, report)
        for job in session.scalars(_with_parts_behind()) if thorough else ():
            with _tolerance(service, job):
                report.taken_over += jobs.catch_up_parts(service, job.id) > 0
    report.admitted = admit(service)
    return report


def settle(service: Service, job: Job, patience: float = 0.0) -> bool:
    """Put a claimed job back, if its supervisor and its leader are proven dead.

    What they have left in SLURM is cancelled before, and proven gone.

    Parameters
    ----------
    service, job
        Which.
    patience : float
        Seconds to wait for SLURM jobs to be gone; a later round finds out, too.

    Returns
    -------
    bool
        Whether they were.
    """
    path = service.path(job)
    with supervisor.hold(path, grace=0) as dead:  # nobody else can claim it meanwhile
        if not dead or leader.is_alive(path):
            return False
        try:
            # now, as nobody else may change a row meanwhile that is locked
            record.vacate(service.directory(job), timeout=patience)
            jobs.interrupted(service, job.id)
        except record.NotGone as error:
            log.info("%s", error)
            jobs.take_over(service, job.id)  # that it waits, and for what
        except JobBusy:  # it lives after all
            return False
        else:
            return True
    return False


def sweep(service: Service) -> int:
    """Remove what nobody will ask for again; give how many things it was."""
    return _sweep_folders(service) + _sweep_rows(service)


def _look_at(service: Service, job: Job, report: Report) -> None:
    if draft_of(service.path(job)).is_dir():
        service.place(job)
        report.placed += 1
    if job.claimed_by is not None:
        report.interrupted += settle(service, job)
        return
    if _has_news(service, job):  # somebody worked in it by hand
        job = jobs.take_over(service, job.id)
        report.taken_over += 1
    if job.status in ("running", "stopping") and record.is_open(service.directory(job)):
        report.interrupted += settle(service, job)
    if job.admitted is not None and job.status == "queued":
        report.put += _put_again(service, job)


def _with_parts_behind() -> Select[tuple[Job]]:
    """Give the jobs that have ended though the rows of their sub-jobs do not say so yet."""
    part = aliased(Job)
    behind = select(part.parent).where(part.status.in_(OPEN), part.parent.is_not(None))
    return select(Job).where(Job.id.in_(behind), Job.status.not_in(OPEN))


def _put_again(service: Service, job: Job) -> bool:
    if job.admitted is None or job.admitted > pools.seconds_ago(_SETTLING):
        return False
    with suppress(QueueAway):
        if not service.queue.has(job.pool, job.id, job.fence):
            return service.queue.put(job.pool, job.id, job.fence)
    return False


def _has_news(service: Service, job: Job) -> bool:
    return bool((service.path(job) / "events.jsonl").stat().st_size > job.events_offset)


class _Every:
    """Says now and then that it is time; at the first question, too."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._next = seconds, 0.0

    def is_due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


@contextmanager
def _tolerance(service: Service, job: Job) -> Iterator[None]:
    """One job that cannot be put right must not keep the others from it."""
    try:
        yield
    except (NotFound, FileNotFoundError):
        log.warning("job %s has no directory, or was just deleted", job.id)
        jobs.lost(service, job.id)
    except (JobRunnerError, OSError, TimeoutError):
        log.exception("job %s cannot be reconciled now", job.id)


def _sweep_folders(service: Service) -> int:
    """Remove drafts of jobs that were never accepted, jobs half deleted, uploads cut off."""
    home, swept = service.home.path, 0
    for path in home.glob("jobs/*/*/*/.d*-*"):
        name = path.name.partition("-")[2]
        if path.name.startswith(".draft-"):
            swept += _is_old(path) and not _is_known(service, name) and _remove(path)
        elif path.name.startswith(".deleted-"):
            swept += _remove(path)
    for path in home.glob("uploads/*"):
        swept += _is_old(path) and _remove(path)
    return swept


def _sweep_rows(service: Service) -> int:
    hours = service.settings.idempotency_hours
    expired = delete(Idempotency).where(Idempotency.created < pools.seconds_ago(hours * 3600))
    dead = delete(Worker).where(Worker.heartbeat < pools.seconds_ago(_DAY))
    with service.db.write() as session:
        results = [session.execute(statement) for statement in (expired, dead)]
    return sum(cast("CursorResult[Any]", result).rowcount for result in results)


def _is_known(service: Service, job_id: str) -> bool:
    with service.db.read() as session:
        return session.get(Job, job_id) is not None


def _is_old(path: Path) -> bool:
    """Tell whether neither it nor a file in it was changed for a day."""
    try:
        changes = [found.stat().st_mtime for found in (path, *path.rglob("*"))]
    except FileNotFoundError:
        return False
    return time.time() - max(changes) > _DAY


def _remove(path: Path) -> bool:
    remove: Callable[[Path], object] = shutil.rmtree if path.is_dir() else os.unlink
    try:
        remove(path)
    except OSError:
        return False
    if path.name.startswith(".draft-"):
        with suppress(OSError):  # the empty folder that claimed the id
            path.with_name(path.name.removeprefix(".draft-")).rmdir()
    return True
