"""What people ask of a job that exists: cancel, rerun, change, delete, tell of work elsewhere."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy.orm import Session

from runner import launch, sub_jobs
from runner.errors import NotFound
from runner.jobdir import JobDirectory
from runner.prepared import Prepared
from webapp.admission import admit
from webapp.jobs import parts
from webapp.jobs.attempt import take_over
from webapp.jobs.counts import uncount
from webapp.jobs.fold import Conflict, changing, get
from webapp.jobs.room import check_room
from webapp.jobs.row import Needs, asked_for
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
        If it has ended, or is a sub-job.
    """
    refuse_part(service, job_id, "Cancel")
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
    service: Service,
    job_id: str,
    by: str,
    stage: str | None = None,
    only: bool = False,
    asked: Mapping[str, Any] | None = None,
) -> Job:
    """Queue a further attempt of a job that has ended; of a sub-job, with it alone.

    Parameters
    ----------
    stage : str, optional
        Run this stage again even if nothing changed, with what depends on it.
    only : bool
        Not what depends on it.
    asked : mapping, optional
        Resources for this attempt, beside those of the job.

    Raises
    ------
    Conflict
        If it has not ended, or the job that it is a part of has not.
    InvalidRequest
        If its type has no such stage, or so much is not to be had.
    """
    whole, name = sub_jobs.split(job_id)
    with _asked(service, whole) as (session, job, directory):
        part = get(session, job_id)
        if job.status not in ENDED:
            raise Conflict(f"Job {whole} is {job.status}. Wait for its end, or cancel it first.")
        options: dict[str, Any] = {"stage": stage, "only": only} if stage else {}
        options |= {"sub_job": name} if name else {}
        options |= {"resources": dict(asked)} if asked else {}
        prepared = launch.reopen(service.home, directory)
        needs = _need_anew(service, session, job, prepared, options).as_dict()
        directory.events.append(
            "status", source="api", status="queued", by=by, options=options, needs=needs
        )
    admit(service)
    return part


def _need_anew(
    service: Service, session: Session, job: Job, prepared: Prepared, options: Mapping[str, Any]
) -> Needs:
    """Give what a further attempt needs: profile and instance may say otherwise by now."""
    caps = service.instances.caps(job.instance, job.type)
    wanted, whose = options.get("resources", {}), f"Instance {job.instance}"
    prepared.check(wanted, options.get("sub_job"), caps, whose)
    asked = asked_for(prepared, options)  # are there such stages?
    needs = Needs.of(prepared.profile, prepared.job_type, asked, caps)
    if wanted:
        check_room(service, session, needs, wanted)
    return needs


def change(
    service: Service,
    job_id: str,
    by: str,
    *,
    priority: int | None = None,
    tags: Sequence[str] | None = None,
    pinned: bool | None = None,
) -> Job:
    """Change what is not None; the directory notes it.

    Raises
    ------
    Conflict
        If it is a sub-job.
    """
    refuse_part(service, job_id, "Change")
    given = {"priority": priority, "tags": None if tags is None else list(tags), "pinned": pinned}
    changes = {name: value for name, value in given.items() if value is not None}
    with _asked(service, job_id) as (_, job, directory):
        if changes:
            message = ", ".join(f"{name}: {value}" for name, value in changes.items())
            directory.events.append("note", source="api", by=by, message=message, changes=changes)
    return job


def delete(service: Service, job_id: str) -> None:
    """Remove a job that has ended, with its sub-jobs: rows, events and directory.

    Raises
    ------
    Conflict
        If it has not ended, is pinned, or is a sub-job.
    """
    refuse_part(service, job_id, "Delete")
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
        rows = [*parts.rows(session, job), job]
        uncount(session, rows)
        for row in rows:
            session.delete(row)
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
        If a worker of ours has the job, the status cannot follow the one it has, or it is a
        sub-job.
    """
    refuse_part(service, job_id, "Tell of")
    with _asked(service, job_id) as (_, job, directory):
        if kind == "status":
            _check_elsewhere(job, data["status"])
        number = job.attempt or None
        directory.events.append(kind, source=by, attempt=number, time=time, **data)
    admit(service)
    return job


def refuse_part(service: Service, job_id: str, what: str) -> None:
    """Refuse to do to a sub-job what is only done to the whole.

    Parameters
    ----------
    what : str
        How a sentence begins that says to do it to a job.

    Raises
    ------
    Conflict
        If it is a sub-job.
    """
    with service.db.read() as session:
        parent = get(session, job_id).parent
    if parent is not None:
        raise Conflict(f"{job_id} is a sub-job. {what} the job that it is a part of: {parent}.")


def _check_elsewhere(job: Job, status: str) -> None:
    if job.admitted is not None:
        raise Conflict(f"Job {job.id} has a slot in pool {job.pool}: its own worker runs it.")
    possible = _ELSEWHERE.get(job.status, ())
    if status not in possible:
        allowed = ", ".join(possible) or "nothing"
        raise Conflict(f"Job {job.id} is {job.status}: {allowed} may follow, not {status}.")


def _has(status: str) -> str:
    return "was cancelled" if status == "cancelled" else status
