"""Attempts played without Snakemake: what the runner writes, and what a supervisor asks for."""

from __future__ import annotations

from typing import Any

from runner import record
from runner.jobdir import JobDirectory
from runner.options import RunOptions
from tests.webapp.worlds import row, trivial
from webapp import jobs
from webapp.service import Service


def claimed(service: Service, **given: Any) -> tuple[str, JobDirectory]:
    """A job that a supervisor has taken."""
    job_id = jobs.submit(service, trivial(**given)).job.id
    claim = jobs.claim(service, job_id, row(service, job_id).fence, "worker-1")
    assert claim is not None
    return job_id, claim.directory


def begin(directory: JobDirectory) -> int:
    """What the runner writes when an attempt starts."""
    number = len(list(record.records(directory))) + 1
    record.begin(directory, number, [], RunOptions())
    return number


def end(service: Service, directory: JobDirectory, outcome: str, error: Any = None) -> None:
    """What the runner writes when it ends, and the supervisor says."""
    *_, last = record.records(directory)
    record.close(directory, last | {"outcome": outcome, "error": error})
    jobs.finished(service, directory.id)


def run(service: Service, outcome: str = "succeeded", **given: Any) -> tuple[str, JobDirectory]:
    job_id, directory = claimed(service, **given)
    begin(directory)
    (directory.path / "results" / "only.txt").write_text("word\n")
    error = {"code": "rule_failed", "message": "no", "stage": "only", "problems": []}
    end(service, directory, outcome, error if outcome == "failed" else None)
    return job_id, directory


def write(service: Service, job_id: str, **event: Any) -> None:
    """Put an event into the directory of a job, as Snakemake's plugin or the runner does."""
    event.setdefault("source", "snakemake" if event["kind"] == "stage" else "runner")
    service.directory(row(service, job_id)).events.append(**event)


def stage(service: Service, job_id: str, status: str, name: str = "a", attempt: int = 1) -> None:
    """Let a stage have come into a status."""
    write(service, job_id, kind="stage", stage=name, status=status, attempt=attempt)
    jobs.take_over(service, job_id)
