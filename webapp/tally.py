"""Counts for monitors that only grow: kept in the database with each event that is taken over.

They are written at the very end of a transaction, all in one statement and in one order: two
transactions that count the same things wait for each other only for that moment, and never both.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy import event as hooks
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from runner.events import Event
from webapp import streaks
from webapp.models import ENDED, Job, JobEvent, Tally

SUM = "sum"
ENDLESS = "+Inf"
INSTANCE = "jobrunner_instance"  # a label; Prometheus has an "instance" of its own: whom it asked
_OUTCOMES = ("succeeded", "failed", "cancelled", "timed_out", "interrupted")
_KEY = "jobrunner_tallies"


@dataclass(frozen=True)
class Figure:
    """Something that is counted.

    Attributes
    ----------
    name : str
        As monitors know it, without ``_total``.
    help : str
        What it tells.
    labels : tuple of str
        By what it is told apart.
    buckets : tuple of float
        Upper bounds of the buckets of a histogram, in seconds; none for a plain counter.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()

    def bucket_of(self, value: float) -> str:
        """Give the name of the one bucket that a value is counted in."""
        return next((f"{limit:g}" for limit in self.buckets if value <= limit), ENDLESS)


JOBS = Figure(
    "jobrunner_jobs_ended",
    "Ends of jobs and sub-jobs; one that is run again ends again.",
    (INSTANCE, "type", "outcome"),
)
ATTEMPTS = Figure("jobrunner_attempts", "Attempts that have ended.", (INSTANCE, "type", "outcome"))
STAGES = Figure("jobrunner_stages", "Stages that have ended.", ("type", "stage", "outcome"))
STAGE_SECONDS = Figure(
    "jobrunner_stage_duration_seconds",
    "How long stages took that succeeded.",
    ("type", "stage"),
    (1, 5, 15, 60, 300, 900, 3600, 14400, 43200),
)
START_SECONDS = Figure(
    "jobrunner_start_latency_seconds",
    "How long jobs were queued until they ran.",
    ("pool", INSTANCE),
    (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200),
)
FIGURES = (JOBS, ATTEMPTS, STAGES, STAGE_SECONDS, START_SECONDS)


@dataclass
class _Pending:
    """What a transaction has counted so far: numbers by name, labels and bucket."""

    numbers: defaultdict[tuple[str, str, str], float] = field(
        default_factory=lambda: defaultdict(float)
    )
    streaks: streaks.Streaks = field(default_factory=streaks.Streaks)


def count(session: Session, job: Job, event: Event, *, quietly: bool = False) -> None:
    """Count an event that was just taken over.

    A sub-job is counted as a job of its type, with its stages; but it is its parent that is queued
    and started, and whose attempts run.

    Parameters
    ----------
    session : Session
        In the writing transaction that has put the event into its row, too.
    job : Job
        Its row, with what the event says.
    event : Event
        As it stands in the job's directory.
    quietly : bool
        It happened long ago, and others after it were perhaps counted before: no news for whoever
        watches which stages fail now.
    """
    if event["kind"] == "status":
        _count_status(session, job, event)
    elif event["kind"] == "attempt" and event.get("attempt") is not None and job.parent is None:
        if event.get("status") in _OUTCOMES:
            _add(session, ATTEMPTS, (job.instance, job.type, event["status"]))
    elif event["kind"] == "stage" and event.get("source") == "snakemake":  # not what a person says
        _count_stage(session, job, event, quietly)


def _count_status(session: Session, job: Job, event: Event) -> None:
    if event["status"] in ENDED:
        _add(session, JOBS, (job.instance, job.type, event["status"]))
    elif event["status"] == "running" and job.parent is None:
        waited = _seconds(job.queued, event["time"])
        if waited is not None:
            _add(session, START_SECONDS, (job.pool, job.instance), waited)


def _count_stage(session: Session, job: Job, event: Event, quietly: bool) -> None:
    outcome, stage = event.get("status"), event.get("stage")
    if outcome not in ("succeeded", "failed") or not isinstance(stage, str):
        return
    began, failed_before = _so_far(session, job, event)
    if outcome == "failed" and failed_before:  # one of several runs of its rule has failed, too
        return
    _add(session, STAGES, (job.type, stage, outcome))
    if not quietly:
        _pending(session).streaks.note(job, stage, event)
    took = _seconds(began, event["time"]) if outcome == "succeeded" else None
    if took is not None:
        _add(session, STAGE_SECONDS, (job.type, stage), took)


def _so_far(session: Session, job: Job, event: Event) -> tuple[str | None, bool]:
    """Give when a stage began in this attempt, and whether it has failed in it already."""
    status = JobEvent.data["status"].as_string()
    began = func.min(case((status == "running", JobEvent.time)))
    failures = func.count(case((status == "failed", JobEvent.n)))
    query = select(began, failures).where(
        JobEvent.job_id == job.id,
        JobEvent.n < event["n"],
        JobEvent.kind == "stage",
        JobEvent.attempt == event.get("attempt"),
        JobEvent.data["stage"].as_string() == event["stage"],
    )
    first, number = session.execute(query).one()
    return first, bool(number)


def _add(
    session: Session, figure: Figure, values: tuple[str, ...], observed: float | None = None
) -> None:
    labels = labels_text(dict(zip(figure.labels, values, strict=True)))
    numbers = _pending(session).numbers
    if observed is None:
        numbers[figure.name, labels, ""] += 1
    else:
        numbers[figure.name, labels, figure.bucket_of(observed)] += 1
        numbers[figure.name, labels, SUM] += observed


def labels_text(labels: dict[str, str]) -> str:
    """Give labels as the key of a row has them."""
    return json.dumps(labels, sort_keys=True)


def _seconds(since: str | None, until: str) -> float | None:
    try:
        passed = datetime.fromisoformat(until) - datetime.fromisoformat(since or "")
        return max(0.0, passed.total_seconds())  # clocks of two hosts may differ a little
    except (TypeError, ValueError):  # none, or written by hand
        return None


def _pending(session: Session) -> _Pending:
    found: _Pending = session.info.setdefault(_KEY, _Pending())
    return found


@hooks.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    """Write what was counted, as the last thing that the transaction does."""
    if _KEY not in session.info or session.in_nested_transaction():
        return
    pending: _Pending = session.info.pop(_KEY)
    session.flush()  # nothing else may have to wait for others from here on
    pending.streaks.write(session)
    if rows := list(_rows(pending)):
        dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
        statement = dialect.insert(Tally).values(rows)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["name", "labels", "bucket"],
                set_={"number": Tally.number + statement.excluded.number},
            )
        )


def _rows(pending: _Pending) -> Iterator[dict[str, Any]]:
    for (name, labels, bucket), number in sorted(pending.numbers.items()):
        yield {"name": name, "labels": labels, "bucket": bucket, "number": number}
