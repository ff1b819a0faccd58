"""What a job may take, and what its stages took: for the document of a job."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runner import profile
from runner.errors import JobRunnerError
from runner.events import Event
from runner.jobdir import JobDirectory
from runner.jobtype import JobType
from runner.prepared import Prepared
from webapp import jobs
from webapp.api import auth
from webapp.api.schemas_job import AmountsOut, GrantedOut
from webapp.models import Job


def granted(
    job: Job, directory: JobDirectory | None, job_type: JobType | None
) -> GrantedOut | None:
    """Give what its attempt gets, or one that starts now; None where release or profile are gone.

    Parameters
    ----------
    job, directory, job_type
        Of the job. A sub-job has nothing of its own: its attempts are those of the whole.
    """
    if directory is None or job_type is None or job.parent is not None:
        return None
    service = auth.service()
    try:
        used = profile.load(job.profile, service.home.path)
        prepared = Prepared(directory, job_type, used, service.home)
        further = prepared.options(**job.next_options).resources
    except JobRunnerError:
        return None
    plan = prepared.plan(jobs.bounds(service, job), further)
    return GrantedOut(
        attempt=AmountsOut(**plan.attempt),
        stages={name: AmountsOut(**own) for name, own in plan.stages.items()},
    )


def by_attempt(events: Iterable[Event]) -> dict[int, dict[str, Any]]:
    """Give what each stage took that ran, by number of the attempt and name of the stage."""
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        if event["kind"] == "stage" and event.get("used") and event["attempt"] is not None:
            found.setdefault(event["attempt"], {})[event["stage"]] = event["used"]
    return found
