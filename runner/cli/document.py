"""The one JSON document that a command prints with ``--json``."""

from __future__ import annotations

import json
from typing import Any

import click

from runner import sub_jobs
from runner.errors import JobRunnerError
from runner.jobdir import JobDirectory
from runner.jobtype import JobType, SubJobType
from runner.prepared import Prepared
from runner.state import JobState


def of_job(prepared: Prepared, state: JobState) -> dict[str, Any]:
    """Describe a job: status, stages, error and results."""
    job, job_type = prepared.job, prepared.job_type
    parts = [_of_part(job, part) for part in job_type.sub_jobs.values()]
    described = _of_job(job, job_type, state) | {"directory": str(job.path)}
    return described | {"sub_jobs": parts} if parts else described


def _of_part(job: JobDirectory, part: SubJobType) -> dict[str, Any]:
    directory = sub_jobs.directory(job, part.name)
    return _of_job(directory, part.type, JobState(part.type, directory.events.read()))


def _of_job(job: JobDirectory, job_type: JobType, state: JobState) -> dict[str, Any]:
    artifacts = {artifact.path: artifact.as_dict() for artifact in job.artifacts()}
    return {
        "id": job.id,
        "type": job.type,
        "version": job.config["release"]["label"],
        "status": state.status,
        "stages": [stage.as_dict() for stage in state.stages.values()],
        "error": state.error,
        "results": {
            name: artifacts[path] for name, path in job_type.results.items() if path in artifacts
        },
    }


def of_refusal(error: JobRunnerError, type_name: str | None = None) -> dict[str, Any]:
    """Describe a request that was refused before there was a job."""
    return {
        "id": None,
        "type": type_name,
        "version": None,
        "status": "refused",
        "directory": None,
        "stages": [],
        "error": error.as_dict(),
        "results": {},
    }


def show(document: Any) -> None:
    """Print a document on standard output."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
