"""The artifacts of a job: its result files, as they were when an attempt ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from runner import sub_jobs
from runner.events import Event
from runner.jobdir import JobDirectory
from webapp.models import Artifact, Job

Found = Mapping[str, Sequence[dict[str, Any]]]  # artifacts by the id of their job


def ends_attempt(event: Event) -> bool:
    """Tell whether an attempt has ended with it; one that was interrupted is to be continued."""
    return event["kind"] == "attempt" and event["status"] not in ("started", "interrupted")


def artifacts_of(directory: JobDirectory) -> Found:
    """Give the artifacts that a directory has, and those of each of its sub-jobs.

    There are none before the first attempt has ended.
    """
    return {place.id: _own(place) for place in (directory, *sub_jobs.directories(directory))}


def _own(directory: JobDirectory) -> list[dict[str, Any]]:
    if not any(ends_attempt(event) for event in directory.events.read()):
        return []
    return [artifact.as_dict() for artifact in directory.artifacts()]


def write_all(session: Session, found: Found) -> None:
    """Replace the artifacts that are noted down for jobs; of one without a row there are none."""
    for job_id in session.scalars(select(Job.id).where(Job.id.in_(found))):
        write_artifacts(session, job_id, found[job_id])


def write_artifacts(session: Session, job_id: str, found: Iterable[dict[str, Any]]) -> None:
    """Replace the artifacts that are noted down for a job."""
    session.execute(delete(Artifact).where(Artifact.job_id == job_id))
    if rows := [{"job_id": job_id, **artifact} for artifact in found]:
        session.execute(insert(Artifact), rows)
