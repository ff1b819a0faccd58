"""Rows of jobs whose rows were lost, or are older than their directories.

What is read here happened long ago: nobody is told of it.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from runner import record
from runner.events import Event
from runner.jobdir import JobDirectory
from webapp import supervisor
from webapp.jobs.artifacts import Found, artifacts_of, ends_attempt, write_all
from webapp.jobs.fold import absorb, absorb_parts, get
from webapp.jobs.row import Needs, new_row
from webapp.models import ENDED, Artifact, Job
from webapp.service import Service

_LOST = "lost with the database"  # in place of the name of a worker


def enter(
    service: Service,
    session: Session,
    directory: JobDirectory,
    needs: Needs,
    artifacts: Found,
) -> Job:
    """Add a job that has a directory and no row; with its sub-jobs.

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
    artifacts : mapping
        What `artifacts_of` gives, read before: it takes time.
    """
    job = new_row(service.home.path, directory, needs)
    session.add(job)
    session.flush()
    absorb(service, session, job, directory, quietly=True)
    if job.status == "stopping" and not record.is_open(directory):
        # Its supervisor had not begun yet: let the reconciler find out that it is dead.
        job.claimed_by = _LOST
    write_all(session, artifacts)
    return job


def catch_up(service: Service, job_id: str) -> list[Event]:
    """Take over what a directory has and the rows have not; give the events that were new.

    Those of a job that is worked on are left to its supervisor, who tells of them.
    """
    with service.db.write() as session:
        job = get(session, job_id, lock=True)
        directory = service.place(job)
        if supervisor.is_held(directory.path):
            return []
        events = absorb(service, session, job, directory, quietly=True)
    if any(ends_attempt(event) for event in events):
        found = artifacts_of(directory)
        with service.db.write() as session:
            get(session, job_id, lock=True)
            write_all(session, found)
    return events


def catch_up_parts(service: Service, job_id: str) -> int:
    """Take over what the sub-jobs of a job lack, though its own rows are right; give how many.

    They are written after the job itself, and the disk may have been full then.
    """
    with service.db.write() as session:
        job = get(session, job_id, lock=True)
        return absorb_parts(service, session, job, service.place(job))


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
        columns = (Artifact.job_id, Artifact.path, Artifact.sha256)
        known = session.execute(select(*columns).where(Artifact.job_id.in_(found)))
        there = {(name, f["path"], f["sha256"]) for name in found for f in found[name]}
        if job.status not in ENDED or {tuple(row) for row in known} == there:
            return False
        write_all(session, found)
        return True
