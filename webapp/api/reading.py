"""What the views that only read have in common."""

from __future__ import annotations

from typing import cast

from flask import current_app

from runner.errors import NotFound
from runner.jobdir import JobDirectory
from webapp.api import auth
from webapp.catalogue import Catalogue
from webapp.models import Job


def catalogue() -> Catalogue:
    """Give the job types of all releases; kept between requests."""
    kept = current_app.extensions
    if "jobrunner_catalogue" not in kept:
        kept.setdefault("jobrunner_catalogue", Catalogue(auth.service().home.releases))
    return cast(Catalogue, kept["jobrunner_catalogue"])


def directory(job: Job) -> JobDirectory | None:
    """Give the directory of a job; None if it is gone."""
    try:
        return auth.service().directory(job)
    except NotFound:
        return None
