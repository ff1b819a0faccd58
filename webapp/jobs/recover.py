"""Rows of jobs whose rows were lost, or are older than their directories.

What is read here happened long ago: nobody is told of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from runner import record
from runner.events import Event
from runner.jobdir import JobDirectory
from webapp.jobs.artifacts import artifacts_of, ends_attempt, write_artifacts
from webapp.jobs.fold import absorb, get
from webapp.jobs.row import Needs, new_row
from webapp.models import ENDED, Artifact, Job
from webapp.service import Service

_LOST = "lost with the database"  # in place of the name of a worker


def enter(
    service: Service,
    session: Session,
    directory: JobDirectory,
    needs: Needs,
    artifacts: Iterable[dict[str, Any]],
) -> Job:
    """Add a job that has a directory and no row.

    Parameters
    ----------
    service : Service
        Whose job it is.
    session : Session
        In a writing transaction.
    directory : JobDirectory
        In its place.
    needs : Needs
        What profile and job type say.
    artifacts : iterable of dict
        What `artifacts_of` gives, read before: it takes time.
    """
    job = new_row(service.home.path, directory, needs)
    session.add(job)
    session.flush()
    absorb(service, session, job, directory, quietly=True)
    if job.status == "stopping" and not record.is_open(directory):
        # Its supervisor had not begun yet: let the reconciler find out that it is dead.
        job.claimed_by = _LOST
    write_artifacts(session, job.id, artifacts)
    return job


def catch_up(service: Service, job_id: str) -> list[Event]:
    """Take over what a directory has and the rows have not; give the events that were new."""
    with service.db.write() as session:
        job = get(session, job_id, lock=True)
        directory = service.place(job)
        events = absorb(service, session, job, directory, quietly=True)
    if any(ends_attempt(event) for event in events):
        found = artifacts_of(directory)
        with service.db.write() as session:
            get(session, job_id, lock=True)
            write_artifacts(session, job_id, found)
    return events


def note_artifacts(service: Service, job_id: str) -> bool:
    """Note down the artifacts of a job that has ended; tell whether others were noted.

    Its supervisor does so a moment after the end: it may have died in between, or a backup have
    been made.
    """
    with service.db.read() as session:
        directory = service.directory(get(session, job_id))
    found = artifacts_of(directory)
    with service.db.write() as session:
        job = get(session, job_id, lock=True)
        known = select(Artifact.path, Artifact.sha256).where(Artifact.job_id == job_id)
        noted = {(path, digest) for path, digest in session.execute(known)}
        if job.status not in ENDED or noted == {(f["path"], f["sha256"]) for f in found}:
            return False
        write_artifacts(session, job_id, found)
        return True
