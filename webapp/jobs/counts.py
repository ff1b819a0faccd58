"""How many jobs there are of each instance, type and status: kept with each change of a status."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from webapp.db import lock
from webapp.models import Job, JobCount


def lock_for(session: Session, found: Iterable[Job]) -> None:
    """Have the counts of some jobs for this transaction: all that it needs at once, in one order.

    One lock for all statuses of a type: a transaction may change them in any order, and two that
    do it in different orders would wait for each other.
    """
    for instance, type_name in sorted({(job.instance, job.type) for job in found}):
        lock(session, f"counts:{instance}:{type_name}")


def count(session: Session, job: Job, before: str | None) -> None:
    """Count a job with its new status, and no longer with the one that it had, if it had one."""
    lock_for(session, [job])
    _add(session, job, job.status, 1)
    if before is not None:
        _add(session, job, before, -1)


def uncount(session: Session, found: Iterable[Job]) -> None:
    """Take jobs that are being deleted out of the counts."""
    jobs = list(found)
    lock_for(session, jobs)
    for job in jobs:
        _add(session, job, job.status, -1)


def _add(session: Session, job: Job, status: str, number: int) -> None:
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    key = {"instance": job.instance, "type": job.type, "status": status}
    changes = {"number": number, "sub_jobs": number if job.parent else 0}
    session.execute(
        dialect.insert(JobCount)
        .values(key | changes)
        .on_conflict_do_update(
            index_elements=list(key),
            set_={name: getattr(JobCount, name) + change for name, change in changes.items()},
        )
    )
