"""What an attempt would run, stage by stage, and why; nothing is run."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from runner import command
from runner.errors import JobRunnerError
from runner.events import EventLog
from runner.jobtype import JobType
from runner.options import RunOptions
from runner.prepared import Prepared


class PlanFailed(JobRunnerError):
    """Snakemake cannot say what it would run."""

    code = "plan_failed"


@dataclass(frozen=True)
class PlannedStage:
    """Whether a stage would run, and why."""

    name: str
    title: str
    runs: bool
    reason: str


def plan(prepared: Prepared, options: RunOptions) -> list[PlannedStage]:
    """Ask Snakemake for a dry run.

    Raises
    ------
    PlanFailed
        With Snakemake's own words, if it cannot plan.
    """
    _, _, environment = prepared.stage_environments()
    local = replace(options, executor="local")
    with tempfile.TemporaryDirectory(prefix="jobrunner-plan-") as scratch:
        events, log = EventLog(Path(scratch, "events.jsonl")), Path(scratch, "log")
        argv = command.arguments(
            prepared.job,
            prepared.job_type,
            local,
            prepared.execution(local),  # no environment is built; a changed file is a reason to run
            events=events.path,
            attempt=0,
        )
        with log.open("wb") as stream:
            argv += ["--dry-run", "--nolock"]
            code = command.in_fork(argv, stream.fileno(), environment)
        if code:
            raise PlanFailed(log.read_text(encoding="utf-8", errors="replace").strip())
        reasons = {
            event["stage"]: event.get("reason") or "" for event in events.read() if "stage" in event
        }
    asked = _asked(prepared.job_type, options)
    return [
        PlannedStage(
            stage.name, stage.title, stage.name in reasons, _why(stage.name, reasons, asked)
        )
        for stage in prepared.job_type.stages
    ]


def _asked(job_type: JobType, options: RunOptions) -> list[str]:
    """Give the names of the stages that are not left out by the options."""
    part = job_type.sub_job(options.sub_job) if options.sub_job else None
    names = [stage.name for stage in part.stages()] if part else job_type.stage_names
    last = options.stage if options.only else options.until
    if last is None:
        return names
    return names[: names.index(part.rule(last) if part else last) + 1]


def _why(name: str, reasons: dict[str, str], asked: list[str]) -> str:
    return reasons.get(name, "up to date" if name in asked else "not asked for")
