"""Cancel means gone: no SLURM job of an attempt is left, and nothing of it works anywhere.

Two proofs are asked for: `squeue` knows no job of the attempt's run name any more, and no rule run
has its lock held. Before that, the fence of each rule run is set to ``stop``: from then on nothing
of the attempt can begin, and what lives ends itself within a second or two, even if SLURM is away
and cannot be told.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

from runner.slurm import commands, fence

TIMEOUT = 60.0  # seconds for which an end waits for its SLURM jobs to be gone
_ANSWER = 20.0  # seconds; an absent controller is waited for 9 s by SLURM itself
_PAUSE, _LONGEST_PAUSE = 0.25, 2.0  # seconds between questions, growing
_SILENT_FOR = 5.0  # seconds for which SLURM is not asked again when it did not answer
_silence: dict[str | None, tuple[float, str]] = {}  # of the whole process: many attempts may ask


class Away(Exception):
    """SLURM gave no answer, or could not be asked; in words."""


def run_name(job_id: str, number: int) -> str:
    """Give the name of all SLURM jobs of an attempt; nobody else's has it.

    Parameters
    ----------
    job_id : str
        The job.
    number : int
        Number of the attempt.
    """
    return f"jobrunner-{job_id}-{number}-{secrets.token_hex(4)}"


def has_ended(folder: Path) -> bool:
    """Tell, without asking SLURM, whether all rule runs of an attempt have come to their own end.

    What was submitted several times may have a twin in SLURM's queue: it does not count.

    Parameters
    ----------
    folder : Path
        Folder of the attempt's rule runs.
    """
    return all(
        fence.is_first(rule_run) and fence.ended(rule_run, 0)
        for rule_run in fence.rule_runs(folder)
    )


def gone(
    run: str,
    folder: Path,
    timeout: float | None = None,
    tell: Callable[[str], object] | None = None,
) -> bool:
    """Cancel what is left of an attempt and wait until it is gone; tell whether it is.

    Parameters and what is done: see `cancel`.
    """
    return cancel(run, folder, timeout, tell) is None


def cancel(
    run: str,
    folder: Path,
    timeout: float | None = None,
    tell: Callable[[str], object] | None = None,
    conf: str | None = None,
) -> str | None:
    """Cancel what is left of an attempt and wait until it is gone.

    Parameters
    ----------
    run : str
        Name of its SLURM jobs.
    folder : Path
        Folder of its rule runs.
    timeout : float, optional
        Seconds to wait, `TIMEOUT` by default; with 0 it is asked and told once.
    tell : callable, optional
        Gets what is left, once, if SLURM does not answer or the time is over.
    conf : str, optional
        ``SLURM_CONF`` of its cluster, see `commands.ask`.

    Returns
    -------
    str or None
        What is left, in words; None if nothing is.

    Raises
    ------
    OSError
        If the folder cannot be read, or its file system knows no locks.
    """
    rule_runs = list(fence.rule_runs(folder))
    if not rule_runs:  # a rule run has its folder before SLURM hears of it
        return None
    timeout = TIMEOUT if timeout is None else timeout
    deadline, pause = time.monotonic() + timeout, _PAUSE
    while True:
        is_away, open_fence = False, _stop(rule_runs)
        try:
            left = _cancelled(run, conf) or _living(rule_runs) or open_fence
        except Away as away:
            left, is_away = str(away), True
        if left is None:
            return None
        is_over = time.monotonic() >= deadline
        if tell and (is_away or (is_over and timeout)):
            tell(left)
            tell = None
        if is_over:
            return left
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _stop(rule_runs: list[str]) -> str | None:
    """Stop all rule runs; say why one could not be, on a full disk for example."""
    failed = None
    for rule_run in rule_runs:
        try:
            fence.stop(rule_run)
        except OSError as error:
            failed = f"{rule_run}/fence cannot be written ({error.strerror})"
    return failed


def _cancelled(run: str, conf: str | None) -> str | None:
    """Have SLURM cancel the jobs of a run; say which it still knows.

    Raises
    ------
    Away
        If it does not say.
    """
    rows = _list(run, conf)
    said = ""
    if any(row.split()[1] != "COMPLETING" for row in rows):
        answer = commands.ask("scancel", f"--name={run}", limit=_ANSWER, conf=conf)
        said = f" (scancel: {answer.said})" if answer.said else ""
    if not rows:
        return None
    return f"SLURM still has its jobs: {', '.join(' '.join(row.split()) for row in rows)}{said}"


def _list(run: str, conf: str | None) -> list[str]:
    """Ask SLURM which jobs of a run there are; if it has just not answered, not again at once.

    No user is named: a job that somebody else's rerun has left must not be overlooked.
    """
    since, reason = _silence.get(conf, (float("-inf"), ""))
    if time.monotonic() < since + _SILENT_FOR:
        raise Away(reason)
    form = "--format=%i %T %N"
    words = ("squeue", f"--name={run}", "--noheader", "--all", form)
    answer = commands.ask(*words, limit=_ANSWER, conf=conf)
    if answer.kind != "ok":
        does_not = "does not answer" if answer.kind == "away" else "cannot be asked here"
        reason = f"SLURM {does_not} ({answer.said})"
        _silence[conf] = (time.monotonic(), reason)
        raise Away(reason)
    return answer.text.splitlines()


def _living(rule_runs: list[str]) -> str | None:
    """Say which rule runs have processes, on whatever host."""
    for rule_run in rule_runs:
        if fence.is_held(rule_run):
            where = fence.started(rule_run, 0) or {}
            return (
                f"{Path(rule_run).name} still has processes on {where.get('host', 'a node')}"
                f" (SLURM job {where.get('slurm_job', '?')})"
            )
    return None
