"""Sub-jobs: they have rows and events of their own, which follow from those of their job."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from runner import profile, redact, sub_jobs
from runner.errors import JobRunnerError
from runner.events import Event
from runner.jobdir import JobDirectory
from webapp.jobs.row import part_row
from webapp.models import Job
from webapp.service import Service

log = logging.getLogger(__name__)


def ids(directory: JobDirectory) -> list[str]:
    """Give the ids of the sub-jobs of a job."""
    return [f"{directory.id}.{name}" for name in sub_jobs.names(directory)]


def rows(session: Session, job: Job) -> Sequence[Job]:
    """Give the rows of the sub-jobs of a job, by their ids."""
    return session.scalars(select(Job).where(Job.parent == job.id).order_by(Job.id)).all()


def of(
    service: Service, session: Session, job: Job, directory: JobDirectory
) -> list[tuple[Job, JobDirectory]]:
    """Give row and directory of each sub-job, its events up to date with those of the job.

    A row that is not there is made. A directory that cannot be written, on a full disk, does not
    keep the job itself from going on: what is told of its sub-jobs follows later.

    Parameters
    ----------
    service : Service
        Whose job it is.
    session : Session
        In a writing transaction.
    job : Job
        The row of the whole, locked.
    directory : JobDirectory
        Its directory.
    """
    if not sub_jobs.names(directory):
        return []
    try:
        sub_jobs.sync(directory, partial(_secrets, service, job))
    except OSError as error:
        log.warning("the sub-jobs of job %s are brought up to date later: %s", job.id, error)
    known = {row.id: row for row in rows(session, job)}
    found = []
    for place in sub_jobs.directories(directory):
        if place.id not in known and place.events.path.is_file():
            known[place.id] = part_row(job, directory, place)
            session.add(known[place.id])
        if place.id in known and place.events.path.is_file():
            found.append((known[place.id], place))
    session.flush()
    return found


def share_needs(session: Session, job: Job) -> None:
    """Let sub-jobs have the pool and the amounts of their job: they are in its attempts."""
    for row in rows(session, job):
        row.pool, row.cores, row.mem_mb = job.pool, job.cores, job.mem_mb


def has_told(directory: JobDirectory, event: Event) -> bool:
    """Tell whether an event is about a stage of a sub-job, which says the same of itself."""
    if event["kind"] != "stage" or not isinstance(event.get("stage"), str):
        return False
    return directory.of_stage(event["stage"])[0] != directory.path


def _secrets(service: Service, job: Job) -> tuple[str, ...]:
    """Give what no event may tell; a host that has no credentials has nothing to look for."""
    try:
        return redact.secrets_in(profile.load(job.profile, service.home.path).credentials())
    except JobRunnerError:
        return ()
