"""From the events of a job's directory to its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from runner import sub_jobs
from runner.errors import JobRunnerError, NotFound
from runner.events import Event
from runner.files import now, sync
from runner.jobdir import JobDirectory
from webapp import notify, tally
from webapp.jobs import counts, parts
from webapp.jobs.artifacts import write_artifacts
from webapp.models import ENDED, REMOVABLE, Job, JobEvent, JobWord
from webapp.queue import channel_of
from webapp.service import Service
from webapp.words import words

_COLUMNS = ("n", "time", "kind", "source", "attempt")


class Conflict(JobRunnerError):
    """Something that cannot be done to a job as it stands."""

    code = "conflict"
    status = 409


def get(session: Session, job_id: str, *, lock: bool = False) -> Job:
    """Give the row of a job; with `lock` nobody else changes it until the transaction ends.

    Raises
    ------
    NotFound
        If there is none.
    """
    job = session.get(Job, job_id, with_for_update=lock, populate_existing=lock)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


@contextmanager
def changing(
    service: Service, job_id: str, *, parts_later: bool = False
) -> Iterator[tuple[Session, Job, JobDirectory]]:
    """Give a job, locked and up to date with its directory, and tell listeners afterwards.

    What the block appends to the directory's events is taken over at its end. For a sub-job it is
    the job that it is a part of: they change together.

    Parameters
    ----------
    parts_later : bool
        Bring sub-jobs up to date at the end only: the block knows better what has become of them.
    """
    with service.db.write() as session:
        job = get(session, sub_jobs.split(job_id)[0], lock=True)
        directory = service.place(job)  # or it might be moved meanwhile
        absorb(service, session, job, directory, with_parts=not parts_later)
        yield session, job, directory
        absorb(service, session, job, directory)
        if parts_later:
            absorb_parts(service, session, job, directory)
    for identifier in (job.id, *parts.ids(directory)):
        service.queue.publish(channel_of(identifier))


def absorb(
    service: Service,
    session: Session,
    job: Job,
    directory: JobDirectory,
    *,
    quietly: bool = False,
    with_parts: bool = True,
) -> list[Event]:
    """Take over the events that the rows do not have yet; those of sub-jobs, too.

    Parameters
    ----------
    service : Service
        Whose job it is.
    session : Session
        In a writing transaction.
    job : Job
        Its row, locked; not that of a sub-job.
    directory : JobDirectory
        Where the events stand.
    quietly : bool
        Tell nobody of them: they happened long ago.
    with_parts : bool
        Those of sub-jobs, too; else somebody does it later.

    Returns
    -------
    list of Event
        Those that were new.
    """
    events, offset = directory.events.tail(job.events_offset)
    if events and with_parts:
        # first: what is told of the job tells of them, too
        absorb_parts(service, session, job, directory, quietly=quietly)
    if events:
        _take_over(service, session, job, directory, events, offset, quietly)
    return events


def absorb_parts(
    service: Service,
    session: Session,
    job: Job,
    directory: JobDirectory,
    *,
    quietly: bool = False,
) -> int:
    """Take over what the events of a job mean for its sub-jobs; as `absorb`, give how many."""
    found, number = parts.of(service, session, job, directory), 0
    if found:
        counts.lock_for(session, [job, *(part for part, _ in found)])
    for part, place in found:
        events, offset = place.events.tail(part.events_offset)
        if events:
            _take_over(service, session, part, place, events, offset, quietly)
            number += 1
    return number


def _take_over(
    service: Service,
    session: Session,
    job: Job,
    directory: JobDirectory,
    events: list[Event],
    offset: int,
    quietly: bool,
) -> None:
    sync(directory.events.path)  # what the rows know must be there after a power cut, too
    before, error = job.status if job.events_seen else None, job.error
    session.execute(insert(JobEvent), [_row(job.id, event) for event in events])
    for event in events:
        _APPLY.get(event["kind"], _ignore)(job, event)
        if not parts.has_told(directory, event):
            tally.count(session, job, event, quietly=quietly)
        if not quietly:
            notify.announce(service, session, job, directory, event)
    if before is None or job.error != error or any("changes" in event for event in events):
        _write_words(session, job, directory)
    if any("results" in event.get("removed", ()) for event in events):
        write_artifacts(session, job.id, ())
    job.events_seen, job.events_offset = events[-1]["n"], offset
    if job.status != before:
        counts.count(session, job, before)
    if any("needs" in event for event in events):
        parts.share_needs(session, job)
    session.flush()


def lose(service: Service, session: Session, job: Job) -> None:
    """End a job whose directory is gone, and its sub-jobs: the rows alone can still say so."""
    found = [job, *parts.rows(session, job)]
    counts.lock_for(session, found)
    for row in found:
        if row.status not in ENDED:
            _lose(service, session, row)


def _lose(service: Service, session: Session, job: Job) -> None:
    before = job.status
    message = "The directory of the job is gone. Submit it again, or restore the directory."
    error: dict[str, Any] = {
        "code": "directory_gone",
        "message": message,
        "stage": None,
        "problems": [],
    }
    event: Event = {"n": job.events_seen + 1, "time": now(), "kind": "status", "attempt": None}
    event |= {"source": "service", "status": "failed", "error": error}
    session.execute(insert(JobEvent), [_row(job.id, event)])
    _status(job, event)
    tally.count(session, job, event)
    notify.announce(service, session, job, None, event)
    job.events_seen = event["n"]
    counts.count(session, job, before)
    session.flush()


def _write_words(session: Session, job: Job, directory: JobDirectory) -> None:
    """Replace what a job is found by."""
    files = [spec["name"] for spec in (directory.config.get("inputs") or {}).values()]
    code = [str(job.error["code"])] if job.error else []
    text = " ".join([job.id, job.type, job.user, *job.tags, *files, *code])
    found = [("tag", tag) for tag in set(job.tags)] + [("text", word) for word in words(text)]
    session.execute(delete(JobWord).where(JobWord.job_id == job.id))
    rows = [{"kind": kind, "word": word, "job_id": job.id} for kind, word in sorted(found)]
    session.execute(insert(JobWord), rows)


def _row(job_id: str, event: Event) -> dict[str, Any]:
    data = {key: value for key, value in event.items() if key not in _COLUMNS}
    return {"job_id": job_id, "data": data, **{name: event.get(name) for name in _COLUMNS}}


def _ignore(job: Job, event: Event) -> None:
    pass


def _status(job: Job, event: Event) -> None:
    had_ended = job.status in ENDED
    job.status, job.error = event["status"], event.get("error")
    job.finished = event["time"] if job.status in ENDED else None
    if job.status == "queued":
        job.queued = event["time"]
    elif job.status in ENDED:
        job.queued = None
    if job.status == "running":
        job.started = event["time"] if had_ended else job.started or event["time"]
        for kind in REMOVABLE:  # the attempt makes them anew
            setattr(job, f"{kind}_removed", None)
    elif job.status == "stopping":  # the runner says so, too, when a worker is shut down
        job.stop_requested = job.stop_requested or event["source"] == "api"
    else:
        _leave_slot(job, event)


def _leave_slot(job: Job, event: Event) -> None:
    job.admitted, job.claimed_by = None, None
    if needs := event.get("needs"):
        job.pool, job.cores, job.mem_mb = needs["pool"], needs["cores"], needs["mem_mb"]
    if "options" in event:  # a person asked for it: a new beginning
        job.next_options, job.interruptions, job.started = event["options"], 0, None
        job.stop_requested = False
    elif job.status in ENDED:
        job.next_options, job.stop_requested = {}, False


def _attempt(job: Job, event: Event) -> None:
    job.attempt = event["attempt"] or job.attempt
    if event.get("status") == "interrupted" and job.status != "stopping":
        job.interruptions += 1  # it was not its supervisor's wish


def _note(job: Job, event: Event) -> None:
    changes = event.get("changes", {})
    job.priority = changes.get("priority", job.priority)
    job.tags = changes.get("tags", job.tags)
    job.pinned = changes.get("pinned", job.pinned)
    for kind in REMOVABLE:
        if kind in event.get("removed", {}):
            setattr(job, f"{kind}_removed", event["time"])
    if "needs" in event:  # more than it was given a slot for
        _leave_slot(job, event)


_APPLY: dict[str, Callable[[Job, Event], None]] = {
    "status": _status,
    "attempt": _attempt,
    "note": _note,
}
