"""How Snakemake is called: its command line, and its start in a warm or a plain process."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.execution import Execution
from runner.jobdir import JobDirectory
from runner.jobtype import JobType
from runner.options import RunOptions

_PR_SET_PDEATHSIG = 1


def arguments(
    job: JobDirectory,
    job_type: JobType,
    options: RunOptions,
    execution: Execution,
    *,
    events: Path,
    attempt: int,
    run: str | None = None,
) -> list[str]:
    """Give Snakemake's arguments for one attempt.

    Parameters
    ----------
    job, job_type, options, execution
        What to run, and how.
    events : Path
        Where the logger plugin writes; absolute.
    attempt : int
        Number of the attempt.
    run : str, optional
        Name of the attempt's jobs in SLURM.
    """
    argv = _targets(options)
    argv += ["--snakefile", str(job_type.snakefile), "--directory", str(job.path)]
    argv += ["--configfile", str(job.path / "job.yaml")]
    argv += ["--rerun-incomplete", "--nocolor", "--show-failed-logs"]
    # not software-env: Snakemake counts the place of an environment as part of it, and what it is
    # made of is frozen in the job's release
    argv += ["--rerun-triggers", "mtime", "code", "input", "params"]
    argv += ["--logger", "jobrunner"]
    argv += ["--logger-jobrunner-events", str(events)]
    argv += ["--logger-jobrunner-attempt", str(attempt)]
    argv += ["--logger-jobrunner-stages", ",".join(job_type.stage_names)]
    argv += execution.deployment
    argv += execution.arguments(options, job.path / "attempts" / str(attempt), events, run)
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
    from snakemake.shell import shell

    sys.argv = ["snakemake", *argv]
    shell.executable("bash")  # the first on PATH, which is another one than when it was imported
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
