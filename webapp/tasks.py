"""What a worker does for one wake-up: supervise an attempt from its claim to its end.

This runs in a work horse: a fork of a slot that has imported Snakemake. For as long as it lives it
holds the supervisor's lock of the job directory, which is how everybody else knows that the job is
being worked on.
"""

from __future__ import annotations

import errno
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from runner import launch, leader
from runner.attempt import Attempt
from runner.errors import DiskFull, JobBusy, JobRunnerError, NotFound
from runner.jobdir import JobDirectory
from runner.record import NotGone
from webapp import jobs, logs, supervisor
from webapp.admission import admit
from webapp.db import DatabaseAway
from webapp.jobs import Claim
from webapp.service import Service

_LOOK = 0.1  # seconds between looks at the events of a running attempt
_AWAY = 1.0  # the same while the database is away
_YIELD = 0.2  # seconds in which an idle slot of another host is quicker to take a job
_PATIENCE = 60.0  # seconds for which the end of an attempt waits for the database

log = logging.getLogger(__name__)


@dataclass
class _Horse:
    """What the worker process has prepared for its horses."""

    service: Service
    worker_id: str
    stopping: bool = False


_horse: _Horse | None = None


def prepare(service: Service, worker_id: str) -> None:
    """Set what the horses forked from this process work with."""
    global _horse  # noqa: PLW0603 - RQ gives the function that it calls nothing else
    _horse = _Horse(service, worker_id)


def request_stop(*_: object) -> None:
    """Have the attempt of this horse stopped and its job queued again; a signal handler."""
    assert _horse is not None
    _horse.stopping = True


def run(job_id: str, fence: int) -> None:
    """Run an attempt of an admitted job, if it is still to be run; RQ calls this.

    Parameters
    ----------
    job_id : str
        The job.
    fence : int
        Number of the admission: a wake-up for an earlier one is void.
    """
    assert _horse is not None
    service = _horse.service
    service.forget()
    logs.tell(job=job_id, worker=_horse.worker_id)
    try:
        path = _place(service, job_id)
    except NotFound:
        jobs.lost(service, job_id)
        return
    with supervisor.hold(path) as held:
        if not held:
            log.warning("job %s has a supervisor; this wake-up was one too many", job_id)
            return
        claim = jobs.claim(service, job_id, fence, _horse.worker_id)
        if claim is not None:
            _supervise(_horse, job_id, claim)
            return
    time.sleep(_YIELD)
    admit(service)


def _place(service: Service, job_id: str) -> Path:
    with service.db.read() as session:
        return service.place(jobs.get(session, job_id)).path


def _supervise(horse: _Horse, job_id: str, claim: Claim) -> None:
    service = horse.service
    try:
        attempt = _start(service, claim)
    except DatabaseAway:
        raise  # the reconciler finds the job claimed by nobody alive, and puts it back
    except NotGone as error:  # the reconciler puts the job back when they are
        log.warning("%s", error)
        jobs.take_over(service, job_id)
        return
    except Exception as error:
        if isinstance(error, JobBusy) and leader.is_alive(claim.directory.path):
            log.warning("%s", error)  # the reconciler goes on when that attempt has ended
            return
        log.exception("job %s cannot start", job_id)
        jobs.fail(service, job_id, _as_ours(error, claim.directory))
        return
    logs.tell(attempt=attempt.number)
    _follow(horse, job_id, attempt)
    _with_patience(service, job_id)


def _start(service: Service, claim: Claim) -> Attempt:
    prepared = launch.reopen(service.home, claim.directory)
    return prepared.start(prepared.options(**claim.options, **claim.limits))


def _follow(horse: _Horse, job_id: str, attempt: Attempt) -> None:
    """Take events over as they come, and stop the attempt where that is asked for."""
    events, seen, pause = attempt.job.path / "events.jsonl", -1, _LOOK
    while attempt.wait(pause) is None:
        if horse.stopping:
            attempt.stop("interrupted")
            return
        size = events.stat().st_size
        if size == seen:
            continue
        try:
            if jobs.take_over(horse.service, job_id).stop_requested:
                attempt.stop("cancelled")
                return
            seen, pause = size, _LOOK
        except DatabaseAway as error:  # the attempt needs no database
            pause = _AWAY
            log.warning("events of job %s are taken over later: %s", job_id, error)


def _with_patience(service: Service, job_id: str) -> None:
    """Take over the end of the attempt; without a database it waits in the directory."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            jobs.finished(service, job_id)
        except DatabaseAway:
            if time.monotonic() > deadline:
                raise
            time.sleep(_AWAY)
        else:
            return


def _as_ours(error: Exception, directory: JobDirectory) -> JobRunnerError:
    if isinstance(error, JobRunnerError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(directory.path)
    what = f"{type(error).__name__}: {error}"
    return JobRunnerError(f"The attempt could not start: {what}. The worker's log has more.")
