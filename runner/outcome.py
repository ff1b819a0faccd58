"""Why an attempt failed, in one error object, found from the failing stage."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from runner import envmodules, limits
from runner.events import Event
from runner.jobdir import JobDirectory

_LAST_LINES = 15
_SCARCE = 1 << 20  # bytes: below it, a write that failed without a word failed for want of space


def find_error(job: JobDirectory, events: Iterable[Event]) -> dict[str, Any]:
    """Give the error object of a failed attempt.

    Parameters
    ----------
    job : JobDirectory
        The job.
    events : iterable of Event
        The events of the attempt.

    Returns
    -------
    dict
        ``code``, ``message``, ``stage`` and ``problems``.
    """
    failed, said, attempt = None, [], None
    for event in events:
        attempt = event["attempt"]
        if event["kind"] == "stage" and event["status"] == "failed":
            failed = failed or event["stage"]
        elif event["kind"] == "log" and event.get("level") == "error":
            said.append(event)
    folder = job.attempts / str(attempt)
    if failed:
        return of_rule(job, folder, failed)
    return (
        limits.exceeded(folder, limits.OTHERS) or of_cluster(folder, "*") or _of_workflow(job, said)
    )


def of_rule(
    job: JobDirectory, folder: Path, rule: str, *, seen_from: Path | None = None
) -> dict[str, Any]:
    """Give the error object of a stage that failed in an attempt.

    That it took too much goes before everything else: a stage may well have written an error
    document about a process of its own that was killed for that.

    Parameters
    ----------
    job : JobDirectory
        The job.
    folder : Path
        Of the attempt: ``<job>/attempts/<n>``.
    rule : str
        The stage; of a sub-job ``<sub-job>_<stage>``.
    seen_from : Path, optional
        The folder that paths in the message start in; the job's by default.
    """
    where, stage = job.of_stage(rule)
    log = where / "logs" / f"{stage}.log"
    if error := limits.exceeded(folder, rule, log, _document(where, stage)):
        return error
    error = envmodules.failed(folder / "stages" / rule, stage) or of_cluster(folder, rule)
    error = error or of_stage(where, stage, seen_from=seen_from or job.path)
    return {**error, "stage": rule}


def time_limit(minutes: float) -> dict[str, Any]:
    """Give the error object of an attempt that took too long."""
    message = (
        f"The attempt was stopped after {minutes:g} minutes, its limit of wall time. What is done "
        f"is kept: run the job again with --resource runtime={2 * minutes:g} (resources of the "
        "request), or raise the limit in the profile (limits, types)."
    )
    return {"code": "time_limit", "message": message, "stage": None, "problems": []}


def of_stage(folder: Path, stage: str, *, seen_from: Path | None = None) -> dict[str, Any]:
    """Give the error object of a failed stage, from what lies in the folder of its job.

    Parameters
    ----------
    folder : Path
        Of the job, or of the sub-job, that has the stage.
    stage : str
        Its name there.
    seen_from : Path, optional
        The folder that paths in the message start in; `folder` itself by default.
    """
    if document := _document(folder, stage):
        return {"problems": [], **document, "stage": stage}
    if _disk_is_full(folder):
        return _disk_full(stage)
    log = folder / "logs" / f"{stage}.log"
    tail, shown = _tail(log), log.relative_to(seen_from or folder)
    message = f"Stage {stage} failed. The end of its log ({shown}):\n{tail}"
    if not tail:
        message = f"Stage {stage} failed without a word in its log; see logs/job.log."
    return {"code": "stage_failed", "message": message, "stage": stage, "problems": []}


def of_cluster(folder: Path, rule: str) -> dict[str, Any] | None:
    """Give what a cluster's executor says about the first run of a rule that failed in an attempt.

    Parameters
    ----------
    folder : Path
        Of the attempt: ``<job>/attempts/<n>``.
    rule : str
        The rule, or ``*`` for any.
    """
    found = []
    for path in folder.glob(f"slurm/{rule}.*/failure.json"):
        with suppress(OSError, ValueError):
            error = json.loads(path.read_text(encoding="utf-8"))
            found.append((path.stat().st_mtime, {"stage": None, "problems": [], **error}))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _document(folder: Path, stage: str) -> dict[str, Any] | None:
    """Give the error document that a stage has left in this attempt; older ones were removed."""
    try:
        text = (folder / "logs" / f"{stage}.error.json").read_text(encoding="utf-8")
        return dict(json.loads(text))
    except (OSError, ValueError, TypeError):  # none, or none that was written whole
        return None


def _of_workflow(job: JobDirectory, said: list[Event]) -> dict[str, Any]:
    if _disk_is_full(job.path):
        return _disk_full(None)
    text = "\n".join(event["message"] for event in said) or _tail(job.logs / "job.log")
    code = "workflow_failed"
    if any(event.get("name") == "CreateCondaEnvironmentException" for event in said):
        code = "environment_failed"
        text = re.sub(r"(?s)^.*?Command:\n.*?\nOutput:\n", "", text)
    return {"code": code, "message": text.strip(), "stage": None, "problems": []}


def _disk_is_full(folder: Path) -> bool:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize < _SCARCE or (state.f_files > 0 and state.f_favail == 0)


def _disk_full(stage: str | None) -> dict[str, Any]:
    message = "The disk of the job directory is full. Free some space, then run the job again."
    return {"code": "disk_full", "message": message, "stage": stage, "problems": []}


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-_LAST_LINES:]).strip()
