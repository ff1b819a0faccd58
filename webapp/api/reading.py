"""What the views that only read have in common."""

from __future__ import annotations

from typing import cast

from flask import current_app

from runner.errors import NotFound
from runner.jobdir import JobDirectory
from webapp import jobs
from webapp.api import auth
from webapp.catalogue import Catalogue
from webapp.models import Job


def catalogue() -> Catalogue:
    """Give the job types of all releases; kept between requests."""
    kept = current_app.extensions
    if "jobrunner_catalogue" not in kept:
        kept.setdefault("jobrunner_catalogue", Catalogue(auth.service().home.releases))
    return cast(Catalogue, kept["jobrunner_catalogue"])


def visible(job_id: str) -> Job:
    """Give the row of a job that the asker may see, whether its directory is there or not.

    Raises
    ------
    NotFound
        If there is none, or it is one of another instance: the answers are the same.
    """
    asker = auth.require("viewer")
    with auth.service().db.read() as session:
        job = jobs.get(session, job_id)
    if not asker.sees(job.instance):
        raise NotFound(f"There is no job {job_id}.")  # as jobs.get says it
    return job


def directory(job: Job) -> JobDirectory | None:
    """Give the directory of a job; None if it is gone."""
    try:
        return auth.service().directory(job)
    except NotFound:
        return None
