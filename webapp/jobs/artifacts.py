"""The artifacts of a job: its result files, as they were when an attempt ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from runner.events import Event
from runner.jobdir import JobDirectory
from webapp.models import Artifact


def ends_attempt(event: Event) -> bool:
    """Tell whether an attempt has ended with it; one that was interrupted is to be continued."""
    return event["kind"] == "attempt" and event["status"] not in ("started", "interrupted")


def artifacts_of(directory: JobDirectory) -> list[dict[str, Any]]:
    """Give the artifacts that a directory has; none before its first attempt has ended."""
    if not any(ends_attempt(event) for event in directory.events.read()):
        return []
    return [artifact.as_dict() for artifact in directory.artifacts()]


def write_artifacts(session: Session, job_id: str, found: Iterable[dict[str, Any]]) -> None:
    """Replace the artifacts that are noted down for a job."""
    session.execute(delete(Artifact).where(Artifact.job_id == job_id))
    if rows := [{"job_id": job_id, **artifact} for artifact in found]:
        session.execute(insert(Artifact), rows)
