"""One Snakemake process over a job directory: start, follow, stop, outcome."""

from __future__ import annotations

import os
import platform
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runner import __version__, command, leader, outcome, processes
from runner.command import RunOptions
from runner.errors import JobBusy
from runner.events import Event
from runner.files import now, read_json, room_on_disk, write_json
from runner.jobdir import JobDirectory
from runner.jobtype import JobType
from runner.redact import redact_logs

INTERRUPT_GRACE = 20.0  # seconds for rules to end after an interrupt
TERMINATE_GRACE = 5.0
RESERVE = 1 << 17  # bytes


class Attempt:
    """A running attempt; this process is its supervisor. Make one with `start`.

    Parameters
    ----------
    job, job_type, options
        What runs.
    number : int
        Which attempt of the job it is.
    pid : int
        The leader: its process group and session.
    secrets : sequence of str
        What must be in no log.
    """

    def __init__(
        self,
        job: JobDirectory,
        options: RunOptions,
        number: int,
        pid: int,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self.job = job
        self.options = options
        self.number = number
        self.pid = pid
        self.error: dict[str, Any] | None = None
        self._secrets = secrets
        self._leader = os.pidfd_open(pid)
        self._deadline = time.monotonic() + options.runtime * 60 if options.runtime else None
        self._exit: tuple[int, Any] | None = None
        self._told: str | None = None

    @classmethod
    def start(
        cls,
        job: JobDirectory,
        job_type: JobType,
        options: RunOptions,
        *,
        environment: Mapping[str, str],
        conda_prefix: Path | None,
        secrets: tuple[str, ...] = (),
        creation: Callable[[], AbstractContextManager[None]] | None = None,
    ) -> Attempt:
        """Start an attempt, once it is proven that no other is alive.

        Parameters
        ----------
        job, job_type, options
            What to run.
        environment : mapping
            The whole environment of the leader, credentials included.
        conda_prefix : Path or None
            Where environments are linked; None: no environments.
        secrets : tuple of str
            What must be in no log.
        creation : callable, optional
            Gives a lock under which environments are made before anything runs.

        Raises
        ------
        JobBusy
            If a leader, or a bare Snakemake, works in the directory.
        InvalidInput
            If an input has changed since it was submitted.
        """
        job.verify_inputs()
        if not options.plain:
            command.warm()
        lock = leader.acquire(job.path)
        try:
            close_interrupted(job)
            _release_snakemake_lock(job, job_type)
            number = len(list(job.attempts.glob("*.json"))) + 1
            for stale in job.logs.glob("*.error.json"):
                stale.unlink()
            events = job.path / "events.jsonl"
            argv = command.arguments(
                job, job_type, options, events=events, attempt=number, conda_prefix=conda_prefix
            )
            mark = {processes.MARK: f"{job.id}:{number}"}
            with room_on_disk(job.path):
                _reserve(job).write_bytes(b"\0" * RESERVE)
                write_json(job.attempts / f"{number}.json", _record(number, argv, options))
                job.events.append("attempt", source="runner", attempt=number, status="started")
                job.events.append("status", source="runner", attempt=number, status="running")
            pid = leader.fork(
                lock,
                number,
                lambda: _run(argv, options.plain, creation),
                log=job.logs / "job.log",
                environment={**environment, **mark},
            )
        except BaseException:
            with suppress(OSError):
                os.close(lock)
            raise
        return cls(job, options, number, pid, secrets)

    def wait(self, timeout: float | None = None) -> str | None:
        """Wait for the end, at most `timeout` seconds; enforce the limit of wall time.

        Returns
        -------
        str or None
            The outcome: ``succeeded``, ``failed``, ``cancelled``, ``timed_out`` or
            ``interrupted``; None if it still runs.
        """
        until = time.monotonic() + timeout if timeout is not None else None
        while self._exit is None:
            bounds = [moment for moment in (until, self._deadline) if moment is not None]
            remaining = max(0.0, min(bounds) - time.monotonic()) if bounds else None
            if not self._ended(remaining):
                if self._deadline is not None and time.monotonic() >= self._deadline:
                    return self.stop("timed_out")
                return None
        return self._finish()

    def follow(self, on_event: Callable[[Event], None], since: int = 0) -> str:
        """Call `on_event` for each event until the attempt has ended; give its outcome."""
        for event in self.job.events.follow(since, ended=lambda: self.wait(0) is not None):
            on_event(event)
        return self._finish()

    def stop(self, outcome_name: str = "cancelled") -> str:
        """End it: interrupt the group, wait, terminate, kill, unlock.

        Returns
        -------
        str
            The outcome; that of its own end if it ended before.
        """
        if self._exit is None and not self._ended(0):
            self._told = outcome_name
            self.job.events.append(
                "status", source="runner", attempt=self.number, status="stopping"
            )
            steps = ((signal.SIGINT, INTERRUPT_GRACE), (signal.SIGTERM, TERMINATE_GRACE))
            for number, grace in (*steps, (signal.SIGKILL, None)):
                with suppress(ProcessLookupError):
                    os.killpg(self.pid, number)
                if self._ended(grace):
                    break
        return self._finish()

    def _ended(self, timeout: float | None) -> bool:
        if self._exit is None:
            readable, _, _ = select.select([self._leader], [], [], timeout)
            if readable:
                _, status, usage = os.wait4(self.pid, 0)
                self._exit = (os.waitstatus_to_exitcode(status), usage)
                os.close(self._leader)
        return self._exit is not None

    def _finish(self) -> str:
        path = self.job.attempts / f"{self.number}.json"
        record = read_json(path)
        if record["outcome"] is not None:
            return str(record["outcome"])
        assert self._exit is not None
        code, usage = self._exit
        processes.kill_survivors(f"{self.job.id}:{self.number}")
        redact_logs(self.job.path, self._secrets)
        name = self._told or _outcome_of(code)
        if name in ("failed", "timed_out"):
            self.error = self._find_error(name)
        record |= {"outcome": name, "exit_code": code, "finished": now(), "error": self.error}
        record["used"] = {
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
            "largest_process_mb": round(usage.ru_maxrss / 1024, 1),
        }
        _close(self.job, record)
        return name

    def _find_error(self, name: str) -> dict[str, Any]:
        if name == "timed_out":
            return outcome.time_limit(self.options.runtime or 0)
        events = (e for e in self.job.events.read() if e["attempt"] == self.number)
        return outcome.find_error(self.job, events)


def _run(
    argv: list[str], plain: bool, creation: Callable[[], AbstractContextManager[None]] | None
) -> int:
    """Be the leader: make environments where that needs a lock, then run Snakemake."""
    if creation is not None:
        first = [*argv, "--conda-create-envs-only"]
        with creation():
            code = command.run_plain(first) if plain else command.in_fork(first, 1)
        if code:
            return code
    return command.run_plain(argv) if plain else command.run_warm(argv)


def close_interrupted(job: JobDirectory) -> None:
    """Give the last attempt its outcome if its supervisor died before it could.

    Call it with the leader's lock held: that proves the leader dead. What it left running on
    this machine is killed here.
    """
    for record in records(job):
        if record["outcome"] is None:
            if record["boot_id"] == processes.boot_id():  # this machine, not restarted since
                processes.kill_survivors(f"{job.id}:{record['attempt']}")
            record |= {"outcome": "interrupted", "finished": now()}
            _close(job, record)


def records(job: JobDirectory) -> Iterator[dict[str, Any]]:
    """Give the records of a job's attempts, first to last."""
    for path in sorted(job.attempts.glob("*.json"), key=lambda p: int(p.stem)):
        yield read_json(path)


def _reserve(job: JobDirectory) -> Path:
    """Give the file that keeps room to record the outcome when the job fills the disk."""
    return job.attempts / ".reserve"


def _outcome_of(code: int) -> str:
    if code == 0:
        return "succeeded"
    return "interrupted" if code < 0 else "failed"


def _close(job: JobDirectory, record: dict[str, Any]) -> None:
    number, name = record["attempt"], record["outcome"]
    status = {"timed_out": "failed", "interrupted": "queued"}.get(name, name)
    error = record.get("error")
    _reserve(job).unlink(missing_ok=True)
    job.events.append("attempt", source="runner", attempt=number, status=name)
    job.events.append("status", source="runner", attempt=number, status=status, error=error)
    write_json(job.attempts / f"{number}.json", record)


def _record(number: int, argv: list[str], options: RunOptions) -> dict[str, Any]:
    from importlib.metadata import version

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
        "supervisor": os.getpid(),
        "started": now(),
        "outcome": None,
    }


def _release_snakemake_lock(job: JobDirectory, job_type: JobType) -> None:
    """Free Snakemake's own lock; the leader's lock, held by us, proves its holder dead."""
    locks = job.path / ".snakemake" / "locks"
    if not locks.is_dir() or not any(locks.iterdir()):
        return
    if process := processes.bare_snakemake(job.path):
        raise JobBusy(
            f"A Snakemake that was started by hand works in {job.path} (process {process.pid}). "
            "Wait for it, or stop it first."
        )
    argv = ["--snakefile", str(job_type.snakefile), "--directory", str(job.path)]
    argv += ["--configfile", str(job.path / "job.yaml"), "--cores", "1", "--unlock", "--nocolor"]
    with (job.logs / "job.log").open("ab") as log:
        command.in_fork(argv, log.fileno())
    if locks.is_dir() and any(locks.iterdir()):
        raise JobBusy(f"The stale lock of {job.path} could not be released; see logs/job.log.")
