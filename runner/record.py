"""The records of a job's attempts: ``attempts/N.json``."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from runner import __version__, processes, sub_jobs
from runner.command import RunOptions
from runner.errors import JobBusy
from runner.files import now, read_json, room_on_disk, write_json
from runner.jobdir import JobDirectory

RESERVE = 1 << 17  # bytes


def begin(job: JobDirectory, number: int, argv: list[str], options: RunOptions) -> None:
    """Write the record of an attempt that is about to start.

    Raises
    ------
    DiskFull
        If there is no room for it, and for the outcome later.
    """
    with room_on_disk(job.path):
        _reserve(job).write_bytes(b"\0" * RESERVE)
        write_json(job.attempts / f"{number}.json", _new(number, argv, options))
        job.events.append("attempt", source="runner", attempt=number, status="started")
        job.events.append("status", source="runner", attempt=number, status="running")


def close_interrupted(job: JobDirectory) -> None:
    """Give the last attempt its outcome if its supervisor died before it could.

    Call it with the leader's lock held: that proves the leader dead. What it left running on
    this machine is killed here.

    Raises
    ------
    JobBusy
        If the supervisor lives: it is about to write the outcome itself.
    """
    for record in records(job):
        if record["outcome"] is None:
            if record["boot_id"] == processes.boot_id():  # this machine, not restarted since
                _refuse_if_supervised(job, record)
                processes.kill_survivors(f"{job.id}:{record['attempt']}")
            record |= {"outcome": "interrupted", "finished": now()}
            close(job, record)


def is_open(job: JobDirectory) -> bool:
    """Tell whether the last attempt has no outcome yet: it runs, or its supervisor died."""
    found = list(records(job))
    return bool(found) and found[-1]["outcome"] is None


def records(job: JobDirectory) -> Iterator[dict[str, Any]]:
    """Give the records of a job's attempts, first to last."""
    for path in sorted(job.attempts.glob("*.json"), key=lambda p: int(p.stem)):
        yield read_json(path)


def _refuse_if_supervised(job: JobDirectory, record: dict[str, Any]) -> None:
    pid, started = record["supervisor"], datetime.fromisoformat(record["started"]).timestamp()
    here = record.get("namespace") == processes.namespace()
    if here and pid != os.getpid() and processes.lives_since(pid, started):
        raise JobBusy(
            f"The last attempt of {job.id} is just ending (process {pid} is writing down how)."
            " Try again in a moment."
        )


def _reserve(job: JobDirectory) -> Path:
    """Give the file that keeps room to record the outcome when the job fills the disk."""
    return job.attempts / ".reserve"


def close(job: JobDirectory, record: dict[str, Any]) -> None:
    """Write a record that has its outcome now, and the events that follow from it."""
    number, name = record["attempt"], record["outcome"]
    status = {"timed_out": "failed", "interrupted": "queued"}.get(name, name)
    error = record.get("error")
    part = (record.get("options") or {}).get("sub_job")
    if part and name == "succeeded" and not _had_succeeded(job):
        status, error = "failed", _incomplete(part)
    _reserve(job).unlink(missing_ok=True)
    job.events.append("attempt", source="runner", attempt=number, status=name)
    job.events.append("status", source="runner", attempt=number, status=status, error=error)
    write_json(job.attempts / f"{number}.json", record)
    sub_jobs.sync(job)


def _had_succeeded(job: JobDirectory) -> bool:
    """Tell whether the job had done all of its work before this attempt."""
    ends = [e["status"] for e in job.events.read() if e["kind"] == "status"
            and e["status"] in ("succeeded", "failed", "cancelled")]  # fmt: skip
    return ends[-1:] == ["succeeded"]


def _incomplete(part: str) -> dict[str, Any]:
    """Say why a job has not succeeded though its attempt has: it was to run a sub-job alone."""
    message = (
        f"Sub-job {part} was run alone, and has succeeded. The job itself had not, and still has "
        "not: run it again to do the rest."
    )
    return {"code": "incomplete", "message": message, "stage": None, "problems": []}


def _new(number: int, argv: list[str], options: RunOptions) -> dict[str, Any]:
    return {
        "attempt": number,
        "argv": ["snakemake", *argv],
        "options": asdict(options),
        "versions": {
            "jobrunner": __version__,
            "snakemake": version("snakemake"),
            "python": platform.python_version(),
        },
        "host": socket.gethostname(),
        "boot_id": processes.boot_id(),
        "namespace": processes.namespace(),
        "supervisor": os.getpid(),
        "started": now(),
        "outcome": None,
    }
