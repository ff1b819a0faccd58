"""What a job would run, asked of Snakemake in a process of its own; nothing is left of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from runner.plan import PlanFailed
from webapp.api.schemas_writing import PlannedStageOut, PlanOut
from webapp.jobs import Submission
from webapp.jobs.submit import draft
from webapp.notify import warnings
from webapp.service import Service

_PATIENCE = 120  # seconds
_at_once = threading.BoundedSemaphore(os.cpu_count() or 1)  # each keeps a core busy for a second


class CannotPlan(PlanFailed):
    """A request for which Snakemake finds no way."""

    status = 422


def plan(service: Service, submission: Submission, folder: Path) -> PlanOut:
    """Tell what would run, stage by stage, and why.

    Parameters
    ----------
    folder : Path
        Where the job's directory may be written; the caller removes it.

    Raises
    ------
    JobRunnerError
        If anything asked for is wrong, as for a submission.
    CannotPlan
        If Snakemake cannot plan it.
    """
    prepared = draft(service, submission, jobs=folder / "jobs")
    job = prepared.job.place()
    return PlanOut(
        type=job.type,
        version=job.config["release"]["label"],
        instance=submission.instance,
        profile=job.config["profile"],
        stages=_ask(job.path, service.home.path, folder),
        warnings=[
            *prepared.warnings,
            *warnings(service, submission.instance, submission.notify),
        ],
    )


def _ask(job: Path, home: Path, folder: Path) -> list[PlannedStageOut]:
    # not here: Snakemake is started by a fork, which a process with threads must not do
    command = [sys.executable, "-m", "runner", "plan", str(job), "--json", "--home", str(home)]
    try:
        with _at_once:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise CannotPlan(f"Snakemake has no plan after {_PATIENCE} seconds.") from error
    if answer.returncode:
        said = answer.stderr.strip().removeprefix("Error: ")
        for path, name in ((job, "JOB"), (folder, ""), (home, "HOME")):  # concern nobody
            said = said.replace(str(path), name)
        raise CannotPlan(said)
    return [PlannedStageOut(**stage) for stage in json.loads(answer.stdout)]
