"""Composite jobs in a service: of the type *pair*, whose sub-jobs are three toy jobs.

Their attempts are played: what Snakemake's plugin and the runner write, without either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from runner.home import Home
from runner.jobdir import JobDirectory
from tests.composite import pair_source
from tests.webapp.attempts import begin, end
from tests.webapp.worlds import add_worker, make_home, open_service, row
from webapp import jobs
from webapp.jobs import Submission
from webapp.service import Service

PARTS = ("left", "right", "apart")
STAGES = ("first", "second", "third")


def make_family_home(path: Path) -> Home:
    """Make a home with the types *toy*, *trivial* and *pair*."""
    home = make_home(path, {"default": "", "other": "running: 1\n"})
    home.releases.publish(str(pair_source(path)), "pair-1")
    return home


@pytest.fixture(name="service")
def family_service(database_url: str, tmp_path: Path) -> Iterator[Service]:
    """A service for composite jobs on either database, with room for ten."""
    home = make_family_home(tmp_path / "home")
    opened = open_service(home.path, database_url, mail="smtp://127.0.0.1:9", disk_low=0)
    add_worker(opened, slots=10)
    yield opened
    opened.db.engine.dispose()


def submit(service: Service, **given: Any) -> str:
    """Submit a composite job and give its id."""
    words = service.home.path / "words.txt"
    words.write_text("one two\n")
    wanted = {"instance": "default", "user": "jane", "inputs": {"text": words}, **given}
    return jobs.submit(service, Submission("pair", **wanted)).job.id


def start(service: Service, directory: JobDirectory, *stages: str) -> None:
    """Begin an attempt that is going to run some stages; by default all."""
    every = [f"{name}_{stage}" for name in PARTS for stage in STAGES]
    number = begin(directory)
    planned = dict.fromkeys(stages or (*every, "sum"), 1)
    told = {"done": 0, "total": len(planned), "stages": planned}
    directory.events.append("progress", source="snakemake", attempt=number, **told)
    jobs.take_over(service, directory.id)


def take(service: Service, job_id: str) -> JobDirectory:
    """Let a supervisor take the job."""
    claim = jobs.claim(service, job_id, row(service, job_id).fence, "worker-1")
    assert claim is not None
    return claim.directory


def say(service: Service, directory: JobDirectory, stage: str, *statuses: str) -> None:
    """Let a stage of the job come into statuses, and the rows know of it."""
    number = row(service, directory.id).attempt
    for status in statuses:
        event = {"stage": stage, "status": status, "attempt": number, "source": "snakemake"}
        directory.events.append("stage", **event)
    jobs.take_over(service, directory.id)


def make_files(directory: JobDirectory, names: Sequence[str] = PARTS) -> None:
    """Have files of each kind in the job and in sub-jobs of it."""
    (directory.path / "results" / "sum.txt").write_text("3")
    for name in names:
        for file in ("work/first.txt", "results/third.txt", "logs/first.log", "logs/job.log"):
            path = directory.path / "sub_jobs" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        summary = {"headline": {"Words": len(name)}}
        folder = directory.path / "sub_jobs" / name / "results"
        (folder / "summary.json").write_text(json.dumps(summary))


def run_parts(
    service: Service, directory: JobDirectory, names: Sequence[str] = PARTS
) -> JobDirectory:
    """Begin an attempt in which some sub-jobs are done."""
    start(service, directory)
    make_files(directory, names)
    for name in names:
        for stage in STAGES:
            say(service, directory, f"{name}_{stage}", "running", "succeeded")
    return directory


def succeeded(service: Service, **given: Any) -> str:
    """Give the id of a composite job that succeeded."""
    job_id = submit(service, **given)
    directory = run_parts(service, take(service, job_id))
    say(service, directory, "sum", "running", "succeeded")
    end(service, directory, "succeeded")
    return job_id


def failed(service: Service, **given: Any) -> str:
    """Give the id of one whose sub-job *left* failed while *apart* was done."""
    job_id = submit(service, **given)
    directory = run_parts(service, take(service, job_id), ["apart"])
    say(service, directory, "left_first", "running")
    folder = directory.path / "sub_jobs" / "left" / "logs"
    folder.mkdir(exist_ok=True)
    (folder / "first.log").write_text("no such word\nat all\n")
    say(service, directory, "left_first", "failed")
    error = {"code": "stage_failed", "message": "no", "stage": "left_first", "problems": []}
    end(service, directory, "failed", error)
    return job_id


def statuses(service: Service, job_id: str) -> dict[str, str]:
    """Give the status of the job, under an empty name, and of each of its sub-jobs."""
    found = {name: row(service, f"{job_id}.{name}").status for name in PARTS}
    return {"": row(service, job_id).status, **found}
