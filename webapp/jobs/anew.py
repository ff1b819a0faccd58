"""A job that waits may need other room by now: profiles, and limits of instances, change."""

from __future__ import annotations

from sqlalchemy.orm import Session

from runner import profile
from runner.errors import JobRunnerError
from runner.jobdir import JobDirectory
from runner.prepared import Prepared
from webapp.jobs.fold import absorb, get
from webapp.jobs.row import Needs, asked_for
from webapp.models import Job
from webapp.service import Service


def known(service: Service, job_id: str) -> Prepared | None:
    """Give a job with its job type, and its profile as that is now; None where one is gone.

    The release is not compared with its digest: that takes long, and who starts an attempt does it.
    """
    try:
        with service.db.read() as session:
            directory = service.directory(get(session, job_id))
        used = profile.load(directory.config["profile"], service.home.path)
        digest = directory.config["release"]["digest"]
        for found in service.home.releases.all():
            if found.digest == digest:
                return Prepared(directory, found.job_type(directory.type), used, service.home)
    except (JobRunnerError, OSError):
        return None  # the attempt fails by it, and says why
    return None


def beyond(service: Service, prepared: Prepared, job: Job) -> Needs | None:
    """Give what the next attempt of a job needs, if that is not within what it has a slot for."""
    caps = service.instances.caps(job.instance, job.type)
    try:
        asked = asked_for(prepared, job.next_options)
    except JobRunnerError:
        return None  # as above
    needs = Needs.of(prepared.profile, prepared.job_type, asked, caps)
    return None if needs.within(job) else needs


def note(
    service: Service, session: Session, job: Job, directory: JobDirectory, needs: Needs
) -> None:
    """Note down what a job needs now; it leaves its slot by that.

    Parameters
    ----------
    service : Service
        Whose job it is.
    session : Session
        In a writing transaction.
    job : Job
        Its row, locked.
    directory : JobDirectory
        In its place.
    needs : Needs
        Of its next attempt.
    """
    message = (
        f"Its profile, or the limits of its instance, were changed: it waits for {needs.told()}."
    )
    directory.events.append("note", source="service", message=message, needs=needs.as_dict())
    absorb(service, session, job, directory)
