"""What happens to a job while it is worked on, and when its supervisor dies."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from runner import leader, profile, record, redact
from runner.errors import JobRunnerError, NotFound
from runner.jobdir import JobDirectory, draft_of
from webapp import pools
from webapp.admission import admit
from webapp.jobs import anew
from webapp.jobs.artifacts import artifacts_of, write_all
from webapp.jobs.fold import absorb, changing, get, lose
from webapp.models import ENDED, Job
from webapp.service import Service


@dataclass(frozen=True)
class Claim:
    """A job that a supervisor has taken: it alone may start an attempt now.

    Attributes
    ----------
    directory : JobDirectory
        In its place.
    options : dict
        ``sub_job``, ``stage``, ``only`` and ``resources``, if that is what was asked for.
    limits : dict
        ``priority``, ``caps`` and ``cores`` of the attempt: no more than it has been given room
        for, and no more than its instance allows now.
    """

    directory: JobDirectory
    options: dict[str, Any]
    limits: dict[str, Any] = field(default_factory=dict)


def claim(service: Service, job_id: str, fence: int, worker_id: str) -> Claim | None:
    """Take an admitted job; None if that admission holds no longer, or this host has no room.

    Nor is it taken if it needs more by now than it was admitted for, or another pool. It gives its
    slot back then, and `webapp.admission.admit` is to look for another.
    """
    prepared = anew.known(service, job_id)  # read before others wait for the lock
    with service.db.exclusive("claims") as session:  # two of one host would see the same room
        try:
            job = get(session, job_id, lock=True)
        except NotFound:
            return None
        if job.fence != fence or job.admitted is None or job.claimed_by is not None:
            return None
        directory = service.place(job)
        absorb(service, session, job, directory)
        if job.status != "queued" or job.admitted is None:
            return None
        if prepared and (needs := anew.beyond(service, prepared, job)):
            anew.note(service, session, job, directory, needs)
            give_back(job)
            return None
        if not pools.has_place(session, service.settings, job, worker_id):
            give_back(job)
            return None
        job.claimed_by = worker_id
        return Claim(directory, dict(job.next_options), _limits(service, job))


def give_back(job: Job) -> None:
    """Let a job wait for its turn again that was admitted, and that nobody works on yet."""
    job.admitted, job.fence = None, job.fence + 1


def _limits(service: Service, job: Job) -> dict[str, Any]:
    caps = bounds(service, job)
    cores = {"cores": caps["cores"]} if job.cores else {}
    return {"priority": job.priority, "caps": caps, **cores}


def bounds(service: Service, job: Job) -> dict[str, Any]:
    """Give the most that an attempt may take: what its instance allows now, and the job has.

    One that waits has nothing yet: if it needs more by then, it gets more, or waits for it.
    """
    caps = service.instances.caps(job.instance, job.type)
    if job.claimed_by is None or job.cores == 0:  # without cores its rules run elsewhere
        return caps
    held = {"cores": job.cores, **({"mem_mb": job.mem_mb} if job.mem_mb else {})}
    return caps | {name: min(most, caps.get(name, most)) for name, most in held.items()}


def take_over(service: Service, job_id: str) -> Job:
    """Take over what is new in a job's directory; give its row as it is then."""
    with service.db.read() as session:
        job = get(session, job_id)
        whole = job if job.parent is None else get(session, job.parent)
        size = (service.place(whole).path / "events.jsonl").stat().st_size
        if size <= whole.events_offset:
            return job
    with changing(service, job_id) as (session, _, _):
        return get(session, job_id)


def finished(service: Service, job_id: str) -> None:
    """After an attempt: note down its artifacts, and let the next job start."""
    with changing(service, job_id) as (_, job, directory):
        _conclude(service, job, directory)
    admit(service)
    with service.db.read() as session:
        directory = service.directory(get(session, job_id))
    found = artifacts_of(directory)
    with service.db.write() as session:
        get(session, job_id, lock=True)
        write_all(session, found)


def fail(service: Service, job_id: str, error: JobRunnerError) -> None:
    """End a job whose attempt could not even start."""
    with changing(service, job_id) as (_, job, directory):
        if job.status not in ENDED:
            _end(directory, "failed", error.as_dict())
    admit(service)


def lost(service: Service, job_id: str) -> None:
    """End a job whose directory is gone, though the folder of all jobs is there."""
    with service.db.write() as session:
        job = session.get(Job, job_id, with_for_update=True)
        if job is None or job.status in ENDED or not service.home.jobs.is_dir():
            return
        path = service.path(job)
        if not path.exists() and not draft_of(path).exists():
            lose(service, session, job)
    admit(service)


def interrupted(service: Service, job_id: str) -> Job:
    """Put a job back whose supervisor and leader are proven dead by their locks.

    It continues from the outputs that exist; after too many times it fails, and a job that was
    being cancelled is cancelled.

    Raises
    ------
    JobBusy
        If its leader lives after all.
    """
    # what its death has cut off looks as if it had failed, until that attempt is closed
    with changing(service, job_id, parts_later=True) as (session, job, directory):
        # one that somebody started by hand in the directory is claimed by no worker
        if job.status not in ENDED and (job.claimed_by or record.is_open(directory)):
            lock = leader.acquire(directory.path)
            try:
                _mask(service, job, directory)
                _close(service, session, job, directory)
            finally:
                os.close(lock)
        _conclude(service, job, directory)
    admit(service)
    return job


def _close(service: Service, session: Session, job: Job, directory: JobDirectory) -> None:
    record.close_interrupted(directory)
    if not absorb(
        service, session, job, directory
    ):  # its supervisor died before there was an attempt
        directory.events.append("attempt", source="service", status="interrupted")
        directory.events.append("status", source="service", status="queued")
        absorb(service, session, job, directory)


def _mask(service: Service, job: Job, directory: JobDirectory) -> None:
    """Do what the dead supervisor would have done at the end: no credential stays in a log."""
    try:
        credentials = profile.load(job.profile, service.home.path).credentials()
    except JobRunnerError:
        return  # there was none to be had, or there is none any more
    secrets = redact.secrets_in(credentials)
    redact.redact_logs(directory.path, secrets)


def _conclude(service: Service, job: Job, directory: JobDirectory) -> None:
    """End a job that was put back by an interruption, but is not to be continued."""
    limit = service.settings.max_interruptions
    if job.status != "queued":
        return
    if job.stop_requested:
        _end(directory, "cancelled")
    elif job.interruptions > limit:
        message = (
            f"The job was interrupted {job.interruptions} times (worker or machine died); at most "
            f"{limit} times it is continued by itself. See its log, then run it again."
        )
        document = {"code": "interrupted_too_often", "message": message, "stage": None}
        _end(directory, "failed", {**document, "problems": []})


def _end(directory: JobDirectory, status: str, error: dict[str, Any] | None = None) -> None:
    directory.events.append("status", source="service", status=status, error=error)
