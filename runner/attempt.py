"""One Snakemake process over a job directory: start, follow, stop, outcome."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

from runner import command, leader, limits, outcome, processes, record, sub_jobs
from runner.errors import JobBusy
from runner.events import Event
from runner.execution import Execution
from runner.files import now, read_json
from runner.jobdir import JobDirectory
from runner.jobtype import JobType
from runner.options import RunOptions
from runner.redact import redact_logs
from runner.slurm.cancel import run_name
from runner.standby import Standby

INTERRUPT_GRACE = 20.0  # seconds for rules to end after an interrupt
TERMINATE_GRACE = 5.0


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
        job_type: JobType,
        options: RunOptions,
        number: int,
        pid: int,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self.job = job
        self.job_type = job_type
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
        execution: Execution,
        *,
        environment: Mapping[str, str],
        secrets: tuple[str, ...] = (),
        creation: Callable[[], AbstractContextManager[None]] | None = None,
        standby: Standby | None = None,
    ) -> Attempt:
        """Start an attempt, once it is proven that no other is alive.

        Parameters
        ----------
        job, job_type, options, execution
            What to run, and how.
        environment : mapping
            The whole environment of the leader, credentials included.
        secrets : tuple of str
            What must be in no log.
        creation : callable, optional
            Gives a lock under which environments are made before anything runs.
        standby : Standby, optional
            A process that has imported Snakemake meanwhile, to be the leader.

        Raises
        ------
        JobBusy
            If a leader, or a bare Snakemake, works in the directory.
        InvalidInput
            If an input has changed since it was submitted.
        InvalidConfiguration
            As `limits.prepare`.
        """
        job.verify_inputs()
        if options.plain or creation is not None:
            standby = None
        elif standby is None:
            command.warm()
        lock = leader.acquire(job.path)
        try:
            record.close_interrupted(job)
            _release_snakemake_lock(job, job_type)
            number = len(list(job.attempts.glob("*.json"))) + 1
            job.logs.mkdir(exist_ok=True)
            for folder in (job, *sub_jobs.directories(job)):
                for stale in folder.logs.glob("*.error.json"):
                    stale.unlink()
            events = job.path / "events.jsonl"
            local = options.executor == "local"
            run = None if local else run_name(job.id, number)
            argv = command.arguments(
                job, job_type, options, execution, events=events, attempt=number, run=run
            )
            shell = limits.prepare(
                job.attempts / str(number), execution.plan, enforce=local, cores=options.cores
            )
            path = environment.get("PATH") or os.defpath
            environment = {**environment, "PATH": f"{shell}:{path}"}
            mark = {processes.MARK: f"{job.id}:{number}"}
            record.begin(job, number, argv, options, run)
            start = standby.lead if standby else leader.fork
            pid = start(
                lock,
                number,
                partial(_run, argv, options.plain, creation),
                log=job.logs / "job.log",
                environment={**environment, **mark},
            )
        except BaseException:
            with suppress(OSError):
                os.close(lock)
            raise
        return cls(job, job_type, options, number, pid, secrets)

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
                self._signal(number)
                if self._ended(grace):
                    break
        return self._finish()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # it was forked this moment and leads no group yet
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

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
        ended = read_json(path)
        if ended["outcome"] is not None:
            return str(ended["outcome"])
        assert self._exit is not None
        code, usage = self._exit
        processes.kill_survivors(f"{self.job.id}:{self.number}")
        name = self._told or _outcome_of(code)
        record.leave_slurm(self.job, ended, succeeded=name == "succeeded")
        folder = self.job.attempts / str(self.number)
        limits.sweep(folder)
        _unlock(self.job, self.job_type)
        redact_logs(self.job.path, self._secrets)
        if name in ("failed", "timed_out"):
            self.error = self._find_error(name)
        ended |= {"outcome": name, "exit_code": code, "finished": now(), "error": self.error}
        ended["used"] = {
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
            "largest_process_mb": round(usage.ru_maxrss / 1024, 1),
            "stages": limits.of_stages(folder, self.job_type.stage_names),
        }
        record.close(self.job, ended)
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


def _unlock(job: JobDirectory, job_type: JobType) -> None:
    """Free Snakemake's own lock if a killed leader left it, so that a bare Snakemake can go on."""
    with suppress(JobBusy):  # somebody works there already, who has freed it
        lock = leader.acquire(job.path)
        try:
            _release_snakemake_lock(job, job_type)
        finally:
            os.close(lock)


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


def _outcome_of(code: int) -> str:
    if code == 0:
        return "succeeded"
    return "interrupted" if code < 0 else "failed"
