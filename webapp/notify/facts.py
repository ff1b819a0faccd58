"""What a notice tells, as it was at its moment: later changes of the job do not change it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from runner import sub_jobs
from runner.errors import UnsafePath
from runner.events import Event
from runner.jobdir import JobDirectory
from runner.jobtype import JobType, Stage
from runner.state import JobState
from webapp.models import Job, JobEvent

# As the API shows a job in a list; its title is added when the notice is written.
COLUMNS = (
    "id", "type", "version", "instance", "profile", "pool", "user", "parent", "status", "priority",
    "tags", "pinned", "submitted", "started", "finished", "attempt", "interruptions",
    "work_removed", "results_removed", "logs_removed",
)  # fmt: skip
_PROBLEMS = 20  # of an error that a notice names
_LONGEST_SUMMARY = 1_000_000  # bytes
_LINES = 30  # of a headline
_LONGEST_LINE = 500


def job_facts(job: Job) -> dict[str, Any]:
    """Give a job as the API shows it."""
    facts = {name: getattr(job, name) for name in COLUMNS}
    return {**facts, "error": shortened(job.error), "url": f"/api/v1/jobs/{job.id}"}


def shortened(error: dict[str, Any] | None) -> dict[str, Any] | None:
    """Give an error with its first problems, and how many more there are."""
    if error is None or len(error.get("problems") or ()) <= _PROBLEMS:
        return error
    problems = error["problems"]
    return {**error, "problems": problems[:_PROBLEMS], "more_problems": len(problems) - _PROBLEMS}


def event_facts(event: Event, directory: JobDirectory | None = None) -> Event:
    """Give an event as the API shows it; that of a stage of a sub-job names the sub-job, too."""
    if "error" in event:
        return {**event, "error": shortened(event["error"])}
    if event["kind"] == "stage" and directory is not None:
        folder, _ = directory.of_stage(str(event["stage"]))
        if folder != directory.path:
            return {**event, "sub_job": f"{directory.id}.{folder.name}"}
    return event


def mail_facts(session: Session, job: Job, directory: JobDirectory, n: int) -> dict[str, Any]:
    """Give what a mail about the end of a job says, as of event `n`."""
    done = headline(directory) if job.status == "succeeded" else []
    facts = {"job": job_facts(job), "headline": done, "stages": stages(session, job.id, n)}
    parts = sub_job_facts(session, directory, n)
    return {**facts, "sub_jobs": parts} if parts else facts


def sub_job_facts(session: Session, directory: JobDirectory, n: int) -> list[dict[str, Any]]:
    """Give where each sub-job stood at event `n` of its job, in a line; none if it has none."""
    parts = {place.id: place for place in sub_jobs.directories(directory)}
    if not parts:
        return []
    told = (JobEvent.job_id.in_(parts), JobEvent.kind == "status")
    last: dict[str, JobEvent] = {}
    for event in session.scalars(select(JobEvent).where(*told).order_by(JobEvent.n)):
        if event.data["of"] <= n:
            last[event.job_id] = event
    return [_sub_job_facts(place, last.get(place.id)) for place in parts.values()]


def _sub_job_facts(place: JobDirectory, last: JobEvent | None) -> dict[str, Any]:
    assert place.parent is not None
    name, told = place.path.name, last.data if last else {}
    line = ""
    if told.get("status") == "succeeded":
        line = ", ".join(f"{label}: {value}" for label, value in headline(place))
    elif "error" in told:
        line = (str(told["error"].get("message", "")).splitlines() or [""])[0]
    return {
        "id": place.id,
        "name": name,
        "type": place.type,
        "title": place.parent.config["sub_jobs"][name]["title"],
        "status": told.get("status", "queued"),
        "line": line[:_LONGEST_LINE],
    }


def headline(directory: JobDirectory) -> list[list[str]]:
    """Give the lines that the job's summary offers to people; a job may have written anything."""
    try:
        path = directory.file("results/summary.json")
        if not path.is_file() or path.stat().st_size > _LONGEST_SUMMARY:
            return []
        lines = json.loads(path.read_text(encoding="utf-8"))["headline"].items()
    except (OSError, ValueError, LookupError, TypeError, AttributeError, UnsafePath):
        return []
    pairs = list(lines)[:_LINES]
    return [[str(label)[:_LONGEST_LINE], str(value)[:_LONGEST_LINE]] for label, value in pairs]


def stages(session: Session, job_id: str, n: int) -> list[dict[str, Any]]:
    """Give name, status and seconds of each stage that has run up to event `n`, in that order."""
    told = ("status", "attempt", "stage")
    query = _until(job_id, n).where(JobEvent.kind.in_(told))
    events: list[Event] = [
        {**row.data, "time": row.time, "kind": row.kind, "attempt": row.attempt}
        for row in session.scalars(query.order_by(JobEvent.n))
    ]
    seen = dict.fromkeys(event["stage"] for event in events if event["kind"] == "stage")
    names = cast(JobType, SimpleNamespace(stages=[Stage(name, name) for name in seen]))
    state = JobState(names, events)
    return [
        {"stage": stage.name, "status": stage.status, "seconds": stage.seconds}
        for stage in state.stages.values()
    ]


def cancelled_by(session: Session, job_id: str, n: int) -> str | None:
    """Give who cancelled a job that event `n` cancelled, if somebody is known to have done so."""
    query = _until(job_id, n).where(JobEvent.kind == "status")
    for event in session.scalars(query.order_by(JobEvent.n.desc())):
        if event.data["status"] not in ("cancelled", "stopping"):
            return None  # what was asked of an earlier attempt
        if by := event.data.get("by"):
            return str(by)
    return None


def _until(job_id: str, n: int) -> Select[tuple[JobEvent]]:
    return select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.n <= n)
