"""What people ask of a job that exists: cancel, rerun, change, delete, tell of work elsewhere."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.orm import Session

from runner import launch
from runner.errors import NotFound
from runner.jobdir import JobDirectory
from webapp.admission import admit
from webapp.jobs.attempt import take_over
from webapp.jobs.fold import Conflict, changing, get, uncount
from webapp.models import ENDED, Job
from webapp.service import Service

_NOTES = "unsettled"  # folder in the home
# What the worker of a job that is worked on elsewhere may say, by what was said before.
_ELSEWHERE = {
    "queued": ("running", "failed", "cancelled"),
    "running": ("running", "succeeded", "failed", "cancelled", "queued"),
    "stopping": ("cancelled", "succeeded", "failed"),
}


@contextmanager
def _asked(service: Service, job_id: str) -> Iterator[tuple[Session, Job, JobDirectory]]:
    """As `changing`, with a note for `settle_notes` as long as directory and rows may differ."""
    note = service.home.path / _NOTES / f"{job_id}.{secrets.token_hex(4)}"
    note.parent.mkdir(exist_ok=True)
    note.touch()
    with changing(service, job_id) as found:
        yield found
    note.unlink(missing_ok=True)


def settle_notes(service: Service) -> int:
    """Take over what was written into directories just before a process died; give how many."""
    notes = list((service.home.path / _NOTES).glob("*"))
    for note in notes:
        with suppress(NotFound):
            take_over(service, note.name.partition(".")[0])
        note.unlink(missing_ok=True)
    return len(notes)


def cancel(service: Service, job_id: str, by: str) -> Job:
    """Cancel a job: at once if it waits; else its attempt is stopped, which takes a moment.

    Raises
    ------
    Conflict
        If it has ended.
    """
    with _asked(service, job_id) as (_, job, directory):
        if job.status in ENDED:
            raise Conflict(f"Job {job_id} has ended already: it {_has(job.status)}.")
        waits = job.status == "queued" and job.claimed_by is None
        if waits or not job.stop_requested:
            status = "cancelled" if waits else "stopping"
            directory.events.append("status", source="api", status=status, by=by)
    admit(service)
    return job


def rerun(
    service: Service, job_id: str, by: str, stage: str | None = None, only: bool = False
) -> Job:
    """Queue a further attempt of a job that has ended.

    Parameters
    ----------
    stage : str, optional
        Run this stage again even if nothing changed, with what depends on it.
    only : bool
        Not what depends on it.

    Raises
    ------
    Conflict
        If it has not ended.
    InvalidRequest
        If its type has no such stage.
    """
    with _asked(service, job_id) as (_, job, directory):
        if job.status not in ENDED:
            raise Conflict(f"Job {job_id} is {job.status}. Wait for its end, or cancel it first.")
        prepared = launch.reopen(service.home, directory)
        if stage is not None:
            prepared.job_type.stage(stage)
        options = {"stage": stage, "only": only} if stage else {}
        directory.events.append("status", source="api", status="queued", by=by, options=options)
    admit(service)
    return job


def change(
    service: Service,
    job_id: str,
    by: str,
    *,
    priority: int | None = None,
    tags: Sequence[str] | None = None,
    pinned: bool | None = None,
) -> Job:
    """Change what is not None; the directory notes it."""
    given = {"priority": priority, "tags": None if tags is None else list(tags), "pinned": pinned}
    changes = {name: value for name, value in given.items() if value is not None}
    with _asked(service, job_id) as (_, job, directory):
        if changes:
            message = ", ".join(f"{name}: {value}" for name, value in changes.items())
            directory.events.append("note", source="api", by=by, message=message, changes=changes)
    return job


def delete(service: Service, job_id: str) -> None:
    """Remove a job that has ended: row, events and directory.

    Raises
    ------
    Conflict
        If it has not ended, or is pinned.
    """
    with service.db.write() as session:
        job = get(session, job_id, lock=True)
        if job.status not in ENDED:
            raise Conflict(f"Job {job_id} is {job.status}: cancel it first.")
        if job.pinned:
            raise Conflict(f"Job {job_id} is pinned: unpin it first.")
        path = service.path(job)
        gone = path.with_name(f".deleted-{job_id}")
        with suppress(FileNotFoundError):
            path.rename(gone)
        uncount(session, job)
        session.delete(job)
    shutil.rmtree(gone, ignore_errors=True)  # what cannot be removed now is swept later


def append(service: Service, job_id: str, by: str, kind: str, time: str, **data: Any) -> Job:
    """Take down what a worker elsewhere says of a job: a change of status, progress or a note.

    Parameters
    ----------
    kind : str
        ``status``, ``progress`` or ``note``.
    time : str
        When it happened, as our tables write times.

    Raises
    ------
    Conflict
        If a worker of ours has the job, or the status cannot follow the one it has.
    """
    with _asked(service, job_id) as (_, job, directory):
        if kind == "status":
            _check_elsewhere(job, data["status"])
        number = job.attempt or None
        directory.events.append(kind, source=by, attempt=number, time=time, **data)
    admit(service)
    return job


def _check_elsewhere(job: Job, status: str) -> None:
    if job.admitted is not None:
        raise Conflict(f"Job {job.id} has a slot in pool {job.pool}: its own worker runs it.")
    possible = _ELSEWHERE.get(job.status, ())
    if status not in possible:
        allowed = ", ".join(possible) or "nothing"
        raise Conflict(f"Job {job.id} is {job.status}: {allowed} may follow, not {status}.")


def _has(status: str) -> str:
    return "was cancelled" if status == "cancelled" else status
