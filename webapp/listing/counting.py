"""How many jobs of a list there are in each status."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp.listing.filters import Filters
from webapp.listing.paging import FEW, few
from webapp.models import STATUSES, Job, JobCount

COUNTED = FEW  # most jobs that are looked at for counts


def counts(session: Session, filters: Filters) -> dict[str, int] | None:
    """Count the jobs by status, whatever statuses the list itself is restricted to.

    Returns
    -------
    dict or None
        A number for each status; None if only looking at more than `COUNTED` jobs could tell.
        Filters by instance, type and status alone are always counted, with or without sub-jobs:
        those counts are kept.
    """
    wanted = filters.without_status()
    found = dict.fromkeys(STATUSES, 0)
    if wanted.instances == ():
        return found
    conditions = list(wanted.conditions())
    kept = wanted.pins().keys() <= {"instance", "type"}
    if kept and len(conditions) == len(wanted.pins()) + (not wanted.sub_jobs):
        number = JobCount.number if wanted.sub_jobs else JobCount.number - JobCount.sub_jobs
        query = select(JobCount.status, func.sum(number)).group_by(JobCount.status)
        for name, values in wanted.pins().items():
            query = query.where(getattr(JobCount, name).in_(values))
    else:
        ids = few(session, wanted)
        if ids is None:
            return None
        query = select(Job.status, func.count()).where(Job.id.in_(ids), *conditions)
        query = query.group_by(Job.status)
    return found | {status: int(number) for status, number in session.execute(query)}
