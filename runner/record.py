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

from runner import __version__, limits, processes, sub_jobs
from runner.errors import JobBusy
from runner.files import now, read_json, room_on_disk, write_json
from runner.jobdir import JobDirectory
from runner.options import RunOptions
from runner.slurm import cancel

RESERVE = 1 << 17  # bytes
_STILL = (
    "The SLURM jobs of this attempt are cancelled, but not proven to be gone: {}. Nothing of it "
    "can begin any more, what runs ends itself within seconds, and no further attempt starts until "
    "it is proven."
)
_GONE = "The SLURM jobs of this attempt are gone now."


class NotGone(JobBusy):
    """SLURM jobs of an earlier attempt that may still write in the job directory."""

    def __init__(self, job_id: str, attempt: int, left: str) -> None:
        super().__init__(
            f"The SLURM jobs of attempt {attempt} of {job_id} are not proven to be gone: {left}. "
            "They are cancelled, and no two attempts may write one directory: try again in a "
            "moment. If SLURM stays away, ask its operator."
        )


def begin(
    job: JobDirectory,
    number: int,
    argv: list[str],
    options: RunOptions,
    run: str | None = None,
) -> None:
    """Write the record of an attempt that is about to start.

    Parameters
    ----------
    job, number, argv, options
        What starts.
    run : str, optional
        Name of its SLURM jobs: who comes later must know it before there is any.

    Raises
    ------
    DiskFull
        If there is no room for it, and for the outcome later.
    """
    with room_on_disk(job.path):
        _reserve(job).write_bytes(b"\0" * RESERVE)
        write_json(job.attempts / f"{number}.json", _new(number, argv, options, run))
        job.events.append("attempt", source="runner", attempt=number, status="started")
        job.events.append("status", source="runner", attempt=number, status="running")


def close_interrupted(job: JobDirectory) -> None:
    """Give the last attempt its outcome if its supervisor died before it could.

    Call it with the leader's lock held: that proves the leader dead. What it left running is ended
    before.

    Raises
    ------
    JobBusy
        If the supervisor lives: it is about to write the outcome itself. `NotGone`, a kind of it,
        if SLURM jobs of an earlier attempt may still work: see `vacate`.
    """
    vacate(job)
    for record in records(job):
        if record["outcome"] is None:
            record |= {"outcome": "interrupted", "finished": now()}
            close(job, record)


def vacate(job: JobDirectory, timeout: float | None = None) -> None:
    """End what attempts have left running that are dead, or whose SLURM jobs could not be ended.

    Parameters
    ----------
    job : JobDirectory
        The leader's lock must be held, or its leader be known dead.
    timeout : float, optional
        Seconds to wait for each attempt's SLURM jobs.

    Raises
    ------
    JobBusy
        If the supervisor of an attempt lives; as `NotGone` if SLURM jobs are not proven gone.
    """
    for record in records(job):
        if record["outcome"] is None:
            if record["boot_id"] == processes.boot_id():  # this machine, not restarted since
                _refuse_if_supervised(job, record)
                processes.kill_survivors(f"{job.id}:{record['attempt']}")
            limits.sweep(job.attempts / str(record["attempt"]))
        if not has_left_slurm(record):
            known = dict(record["slurm"])
            if not leave_slurm(job, record, timeout):
                if record["slurm"] != known:
                    write_json(job.attempts / f"{record['attempt']}.json", record)
                raise NotGone(job.id, record["attempt"], record["slurm"]["left"])
            write_json(job.attempts / f"{record['attempt']}.json", record)


def has_left_slurm(record: dict[str, Any]) -> bool:
    """Tell whether it is proven that SLURM has nothing of an attempt any more."""
    return bool((record.get("slurm") or {"gone": True})["gone"])


def leave_slurm(
    job: JobDirectory,
    record: dict[str, Any],
    timeout: float | None = None,
    *,
    succeeded: bool = False,
) -> bool:
    """Cancel the SLURM jobs of an attempt that has ended, and note down whether they are gone.

    What it changes in the record is for the caller to write. A person is told once why they are
    not.

    Parameters
    ----------
    job : JobDirectory
        Of the attempt.
    record : dict
        The attempt's record; changed.
    timeout : float, optional
        Seconds to wait for them to be gone.
    succeeded : bool
        Whether it has: SLURM is not asked then if each rule run has come to its own end.
    """
    if has_left_slurm(record):
        return True
    slurm, number = record["slurm"], record["attempt"]
    folder = job.attempts / str(number) / "slurm"
    was_told = bool(slurm.pop("left", None))

    def tell(what: str) -> None:
        if not was_told:
            message = _STILL.format(what)
            job.events.append("note", source="runner", attempt=number, message=message)

    left = None
    if not (succeeded and cancel.has_ended(folder)):
        _reserve(job).unlink(missing_ok=True)  # fences have to be written, also on a full disk
        try:
            left = cancel.cancel(slurm["run"], folder, timeout, tell, slurm.get("conf"))
        except OSError as error:  # seen to before anything else runs; the outcome must be written
            left = f"it cannot be looked at ({error})"
    slurm |= {"gone": False, "left": left} if left else {"gone": True}
    if was_told and not left:
        job.events.append("note", source="runner", attempt=number, message=_GONE)
    return not left


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


def _new(number: int, argv: list[str], options: RunOptions, run: str | None) -> dict[str, Any]:
    # which cluster it is: whoever cancels what it leaves may serve another one
    conf = os.environ.get("SLURM_CONF", "")
    slurm = {"slurm": {"run": run, "gone": False, "conf": conf}} if run else {}
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
        **slurm,
    }
