"""How Snakemake is called: its command line, and its start in a warm or a plain process."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.jobdir import JobDirectory
from runner.jobtype import JobType

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class RunOptions:
    """What of a job an attempt runs, and how.

    Attributes
    ----------
    cores : int
        Cores that rules may use together.
    until : str or None
        Last stage to run.
    stage : str or None
        Stage to run again even if nothing changed, with everything that depends on it.
    only : bool
        With `stage`: run that stage alone.
    sub_job : str or None
        Run this sub-job alone, and what it needs; `until` and `stage` are stages of it.
    plain : bool
        Start the ``snakemake`` command instead of a fork of the warm process.
    runtime : float or None
        Limit of wall time in minutes.
    mem_mb : int or None
        Memory in MB that rules may ask for together; bookkeeping, not enforced by the kernel.
    """

    cores: int = 2
    until: str | None = None
    stage: str | None = None
    only: bool = False
    sub_job: str | None = None
    plain: bool = False
    runtime: float | None = None
    mem_mb: int | None = None


def arguments(
    job: JobDirectory,
    job_type: JobType,
    options: RunOptions,
    *,
    events: Path,
    attempt: int,
    conda_prefix: Path | None,
) -> list[str]:
    """Give Snakemake's arguments for one attempt.

    Parameters
    ----------
    job, job_type, options
        What to run.
    events : Path
        Where the logger plugin writes; absolute.
    attempt : int
        Number of the attempt.
    conda_prefix : Path or None
        Where environments are linked; None runs the rules without environments.
    """
    argv = _targets(options)
    argv += ["--snakefile", str(job_type.snakefile), "--directory", str(job.path)]
    argv += ["--configfile", str(job.path / "job.yaml"), "--cores", str(options.cores)]
    argv += ["--rerun-incomplete", "--nocolor", "--show-failed-logs"]
    # not software-env: Snakemake counts the place of an environment as part of it, and what it is
    # made of is frozen in the job's release
    argv += ["--rerun-triggers", "mtime", "code", "input", "params"]
    argv += ["--logger", "jobrunner"]
    argv += ["--logger-jobrunner-events", str(events)]
    argv += ["--logger-jobrunner-attempt", str(attempt)]
    argv += ["--logger-jobrunner-stages", ",".join(job_type.stage_names)]
    if conda_prefix is not None:
        argv += ["--software-deployment-method", "conda", "--conda-prefix", str(conda_prefix)]
    if options.mem_mb is not None:
        argv += ["--resources", f"mem_mb={options.mem_mb}"]
    for stage in job_type.stages:
        for name, value in stage.resources.items():
            argv += ["--set-resources", f"{stage.name}:{name}={value}"]
    part = job_type.sub_job(options.sub_job) if options.sub_job else None
    if options.stage is not None:
        argv += ["--forcerun", part.rule(options.stage) if part else options.stage]
    until = options.stage if options.only else options.until
    if until is not None:
        argv += ["--until", part.rule(until) if part else until]
    return argv


def _targets(options: RunOptions) -> list[str]:
    """Give what to make, if not everything; an option that takes many words must not follow."""
    return [f"{options.sub_job}_all"] if options.sub_job else []


def warm() -> None:
    """Import what an attempt needs, so that a fork of this process starts at once.

    Snakemake's imports take over a second; a fork of a process that has them takes milliseconds.
    """
    import smart_open  # noqa: F401
    import snakemake.cli
    import snakemake.dag
    import snakemake.report
    import snakemake.workflow

    snakemake.cli.get_argument_parser()


def run_warm(argv: Sequence[str]) -> int:
    """Call Snakemake's own command-line entry point in this process and give its exit code."""
    import snakemake.cli

    sys.argv = ["snakemake", *argv]
    _log_as_a_new_process()
    try:
        snakemake.cli.main(list(argv))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _log_as_a_new_process() -> None:
    """Let go of how the process logs that this one is a fork of.

    Its handlers would write each line of Snakemake's into the job's log a second time.
    """
    logging.root.handlers.clear()
    logging.captureWarnings(False)
    sys.excepthook = sys.__excepthook__


def run_plain(argv: Sequence[str]) -> int:
    """Run the ``snakemake`` command in this process group and give its exit code."""
    command = [sys.executable, "-m", "snakemake", *argv]
    with subprocess.Popen(
        command,
        preexec_fn=lambda: die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - one thread only
    ) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the group was interrupted; Snakemake is ending
                continue


def die_with_parent(number: signal.Signals) -> None:
    """Ask the kernel for signal `number` when the process that started this one ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def in_fork(argv: Sequence[str], output: int, environment: Mapping[str, str] | None = None) -> int:
    """Run Snakemake warm in a short-lived fork, its output going to a file descriptor.

    For the calls that are no attempt: a plan, an unlock. Without `environment` it has this
    process's own.

    Returns
    -------
    int
        Its exit code.
    """
    warm()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(output, 1)
            os.dup2(output, 2)
            if environment is not None:
                os.environ.clear()
                os.environ.update(environment)
            code = run_warm(argv)
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:
            code = 1
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
