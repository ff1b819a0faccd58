"""The parts of a composite job: each with a directory, events and a status of its own.

One Snakemake runs them all, and what it reports stands in the events of the job. From there `sync`
writes the events of each sub-job, so that its directory reads like that of any other job.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from runner import outcome, redact
from runner.errors import NotFound
from runner.events import Event
from runner.jobdir import SUB_JOBS, JobDirectory

_OF_STAGE = ("reason", "used", "node", "slurm_job")
_ENDS = ("succeeded", "failed", "cancelled")


def names(job: JobDirectory) -> list[str]:
    """Give the names of a job's sub-jobs; none of a job that is not composite."""
    return list(job.config.get("sub_jobs") or {})


def split(identifier: str) -> tuple[str, str | None]:
    """Split the id of a sub-job into that of its job and its name; a job's has no name."""
    parent, _, name = identifier.partition(".")
    return parent, name or None


def directory(job: JobDirectory, name: str) -> JobDirectory:
    """Give the directory of a sub-job.

    Parameters
    ----------
    job : JobDirectory
        The composite job.
    name : str
        Which of its sub-jobs.

    Raises
    ------
    NotFound
        If it has none of that name.
    """
    parts = job.config.get("sub_jobs") or {}
    if name not in parts:
        known = f"It has: {', '.join(parts)}." if parts else "It has none."
        raise NotFound(f"Job {job.id} has no sub-job {name!r}. {known}")
    frozen = {key: value for key, value in job.config.items() if key != "sub_jobs"}
    config = {
        **frozen,
        "id": f"{job.id}.{name}",
        "type": parts[name]["type"],
        "inputs": {},
        "params": (job.config.get("params") or {}).get(name) or {},
    }
    return JobDirectory(job.path / SUB_JOBS / name, config, parent=job)


def directories(job: JobDirectory) -> list[JobDirectory]:
    """Give the directories of all sub-jobs, in the order of the job type."""
    return [directory(job, name) for name in names(job)]


def sync(job: JobDirectory, secrets: Callable[[], Iterable[str]] | None = None) -> None:
    """Write what the events of a composite job mean for each of its sub-jobs.

    Whatever was written before stays; it does not matter who calls this, or how often.

    Parameters
    ----------
    job : JobDirectory
        The composite job.
    secrets : callable, optional
        Gives what must appear in no text. While an attempt runs, nobody has masked its logs yet:
        who does not know the secrets quotes nothing of them.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    if not names(job):
        return
    with _locked(job):
        events = list(job.events.read())
        ended = {e["attempt"] for e in events if e["kind"] == "attempt"
                 and e["status"] != "started"}  # fmt: skip
        for part in directories(job):
            for event in _missing(job, part, events):
                if "failing" in event:
                    _explain(part, event, secrets, masked=event["attempt"] in ended)
                kept = {key: value for key, value in event.items() if key not in ("kind", "n")}
                part.events.append(event["kind"], **kept)


@contextmanager
def _locked(job: JobDirectory) -> Iterator[None]:
    folder = job.path / SUB_JOBS
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _missing(job: JobDirectory, part: JobDirectory, events: list[Event]) -> list[Event]:
    part.path.mkdir(exist_ok=True)
    there = {_key(event) for event in part.events.read() if "of" in event}
    _, name = split(part.id)
    assert name is not None
    # a rule that is killed with its attempt fails a moment before anybody knows that it was killed
    killed = {e["attempt"] for e in events if e["kind"] == "attempt"
              and e["status"] == "interrupted"}  # fmt: skip
    spared = {e["n"] for e in events if e["attempt"] in killed
              and (e["n"], "status", "failed") not in there}  # fmt: skip
    fold = _Fold(job, part, name, spared)
    return [event for event in fold.of(events) if _key(event) not in there]


def _key(event: Event) -> tuple[Any, ...]:
    return event["of"], event["kind"], event.get("status")


def _explain(
    part: JobDirectory,
    event: Event,
    secrets: Callable[[], Iterable[str]] | None,
    *,
    masked: bool,
) -> None:
    """Say why a sub-job failed, while the files that know it are there."""
    stage = event.pop("failing")
    error = _error(part, event["attempt"], stage)
    if not masked and secrets is not None:
        error["message"] = redact.mask(error["message"].encode(), secrets()).decode()
    elif not masked and error["code"] == "stage_failed":
        error["message"] = f"Stage {stage} failed; its log (logs/{stage}.log) says more."
    event["error"] = error


def _error(part: JobDirectory, attempt: int, stage: str) -> dict[str, Any]:
    """Give the error object of a stage of a sub-job; paths in it start in the sub-job's folder."""
    whole, rule = part.whole, f"{split(part.id)[1]}_{stage}"
    error = outcome.of_rule(whole, whole.attempts / str(attempt), rule, seen_from=part.path)
    return {**error, "stage": stage}


class _Fold:
    """What the events of a job mean for one sub-job.

    Parameters
    ----------
    job, part : JobDirectory
        The job and the sub-job.
    name : str
        Of the sub-job.
    spared : set of int
        Numbers of events whose failures mean nothing: their attempt was interrupted.
    """

    def __init__(self, job: JobDirectory, part: JobDirectory, name: str, spared: set[int]) -> None:
        self.spared = spared
        self.name, self.prefix = name, f"{name}_"
        self.stages = set(job.config["sub_jobs"][name]["stages"])
        self.planned: set[str] = set()
        self.status: str | None = None
        self.attempt: int | None = None

    def of(self, events: list[Event]) -> Iterator[Event]:
        """Give the events of the sub-job."""
        for event in events:
            if event["kind"] == "status":
                yield from self._job_is(event)
            elif event["kind"] == "progress" and "stages" in event:
                self._expect(event["stages"])
            elif event["kind"] == "note":
                yield from self._note(event)
            elif event["kind"] == "stage" and event["stage"].startswith(self.prefix):
                yield from self._stage(event)

    def _expect(self, planned: dict[str, int]) -> None:
        """Take note of what an attempt is going to run: until all of that is done, it runs."""
        self.planned = {stage for stage in self.stages if f"{self.prefix}{stage}" in planned}

    def _event(self, event: Event, kind: str, **data: Any) -> Event:
        shared = {key: event[key] for key in ("time", "attempt", "source")}
        return {**shared, "kind": kind, "of": event["n"], **data}

    def _becomes(self, event: Event, status: str, **data: Any) -> Iterator[Event]:
        if status in _ENDS and self.status in ("running", "stopping"):
            yield self._event(event, "attempt", status=status)
        self.status = status
        yield self._event(event, "status", status=status, **data)

    def _job_is(self, event: Event) -> Iterator[Event]:
        status = event["status"]
        if status == "queued":
            yield from self._job_is_queued(event)
        elif status == "stopping" and self.status == "running":
            yield from self._becomes(event, "stopping")
        elif status in _ENDS and self.status not in _ENDS:
            yield from self._job_has_ended(event, status)

    def _job_is_queued(self, event: Event) -> Iterator[Event]:
        options = event.get("options") or {}
        asked = options.get("sub_job") == self.name
        asked = asked or str(options.get("stage") or "").startswith(self.prefix)
        if self.status in ("running", "stopping"):
            yield self._event(event, "attempt", status="interrupted")
        if self.status != "queued" and (self.status != "succeeded" or asked):
            yield from self._becomes(event, "queued", **self._request(event, asked))

    def _request(self, event: Event, asked: bool) -> dict[str, Any]:
        """Say who asked for it, and for what of this sub-job."""
        if "options" not in event:
            return {}
        options = event["options"]
        if asked and (stage := options.get("stage")):
            options = {"stage": stage.removeprefix(self.prefix), "only": options.get("only", False)}
        return {"by": event.get("by"), "options": options if asked else {}}

    def _note(self, event: Event) -> Iterator[Event]:
        """Pass on what concerns the whole job: other tags, files that were removed."""
        if "changes" in event or "removed" in event:
            told = {k: event[k] for k in ("by", "changes", "removed", "why") if k in event}
            message = f"Of the whole job: {event['message']}"
            yield self._event(event, "note", message=message, **told)

    def _job_has_ended(self, event: Event, status: str) -> Iterator[Event]:
        """End a sub-job that has not done all of its stages."""
        began = self.status in ("running", "stopping")
        if status == "succeeded" and began:  # it was to go up to some stage only
            yield from self._becomes(event, "succeeded")
            return
        why = {"succeeded": "It was not asked for.", "cancelled": "The job was cancelled."}
        message = why.get(status, "Not done, because another part of the job failed.")
        yield self._event(event, "note", message=message)
        yield from self._becomes(event, "cancelled")

    def _stage(self, event: Event) -> Iterator[Event]:
        stage, status = event["stage"].removeprefix(self.prefix), event["status"]
        if stage not in self.stages:
            return
        if self.attempt != event["attempt"] or self.status not in ("running", "stopping"):
            yield from self._begin(event)
        told = {key: event[key] for key in _OF_STAGE if event.get(key)}
        yield self._event(event, "stage", stage=stage, status=status, **told)
        if status == "failed" and self.status == "running" and event["n"] not in self.spared:
            yield from self._becomes(event, "failed", failing=stage)
        elif status == "succeeded":
            self.planned.discard(stage)
            if not self.planned:
                yield from self._becomes(event, "succeeded")

    def _begin(self, event: Event) -> Iterator[Event]:
        self.attempt = event["attempt"]
        yield self._event(event, "attempt", status="started")
        yield from self._becomes(event, "running")
