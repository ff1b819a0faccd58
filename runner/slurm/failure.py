"""Why a rule run on SLURM failed: what it asked for, what it used, and where, as error objects."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.slurm.commands import Account
from runner.slurm.submission import Request

FILE = "failure.json"
_MB = 1 << 20
_LAST = 1 << 14  # bytes of a log that are looked at
_LAST_LINES = 8
# What slurmstepd writes: with cgroups, and where it looks at the memory every few seconds.
_OVER_MEMORY = re.compile(
    r"slurmstepd\S*: error: .*(exceeded memory limit \((?P<used>\d+) > \d+\)|exceeded memory limit"
    r"|Exceeded (job|step) memory limit|oom[_-]kill event|oom-kill|OOM Killed)"
)


@dataclass(frozen=True)
class Case:
    """What is known of a rule run that failed.

    Attributes
    ----------
    request : Request
        What it asked for.
    slurm_job : str or None
        Id of its SLURM job.
    node : str or None
        Where it ran.
    log : str
        The end of SLURM's log of it.
    account : Account or None
        What the accounting says.
    used : mapping or None
        What the stage shell has measured: ``peak_mb``, ``seconds`` and more.
    """

    request: Request
    slurm_job: str | None = None
    node: str | None = None
    log: str = ""
    account: Account | None = None
    used: Mapping[str, Any] | None = None

    @property
    def where(self) -> str:
        """Say which SLURM job it was, and where."""
        node = self.node or (self.account.nodes if self.account else "")
        return f"SLURM job {self.slurm_job}" + (f" on node {node}" if node else "")

    @property
    def largest_mb(self) -> float | None:
        """The most memory that anybody saw it use, in MB."""
        seen = [self.used.get("peak_mb")] if self.used else []
        seen += [self.account.largest_mb] if self.account else []
        seen += [int(found["used"]) / _MB for found in _OVER_MEMORY.finditer(self.log)
                 if found["used"]]  # fmt: skip
        return max((float(amount) for amount in seen if amount), default=None)


def was_over_memory(log: str) -> bool:
    """Tell whether SLURM's log says that memory was the reason."""
    return _OVER_MEMORY.search(log) is not None


def out_of_memory(case: Case) -> dict[str, Any]:
    """Give the error object of a rule run that SLURM ended for its memory."""
    request, used = case.request, case.largest_mb
    given = "the cluster's default"
    if request.memory_mb is not None:
        given = f"{request.memory_mb} MB (+ {request.overhead_mb} MB for Snakemake)"
    # with cgroups nothing is ever above the limit, and what is sampled may be far below it
    seen = f"it was seen with {used:.0f} MB" if used and used > (request.memory_mb or 0) else ""
    message = (
        f"Stage {request.rule} needed more memory than it had asked for: {given}; "
        f"{seen or 'it has used all of that'} "
        f"({case.where}). {_raise(request, 'mem_mb', _more(request, used))}"
    )
    return _error("out_of_memory", message, request)


def time_limit(case: Case) -> dict[str, Any]:
    """Give the error object of a rule run that SLURM ended at its limit of wall time."""
    request = case.request
    given = f"{request.minutes} min" if request.minutes is not None else "the partition's default"
    took = f", after {case.account.elapsed} (h:m:s)" if case.account else ""
    message = (
        f"Stage {request.rule} was ended by SLURM at its limit of wall time, {given}{took} "
        f"({case.where}). {_raise(request, 'runtime', 2 * (request.minutes or 60))}"
    )
    return _error("time_limit", message, request)


def cancelled_outside(case: Case) -> dict[str, Any]:
    """Give the error object of a rule run that somebody else cancelled."""
    by = case.account.by if case.account else None
    who = f"by {_user(by)}, " if by is not None else ""
    began = case.account is not None and case.node
    after = f", after {case.account.elapsed} (h:m:s)" if case.account and began else ""
    message = (
        f"Stage {case.request.rule} was cancelled in SLURM {who}not by this job runner{after} "
        f"({case.where}). What is done is kept: run the job again when nobody minds."
    )
    return _error("cancelled_outside", message, case.request)


def node_failed(case: Case, tries: int, why: str) -> dict[str, Any]:
    """Give the error object of a rule run that lost its node too often.

    Parameters
    ----------
    case : Case
        The last time.
    tries : int
        How often it was submitted.
    why : str
        What happened the last time.
    """
    tail = _tail(case.log)
    log = f" The end of its SLURM log:\n{tail}" if tail else ""
    message = (
        f"Stage {case.request.rule} could not be done on the cluster: it was submitted "
        f"{tries} time{'s' * (tries > 1)}, the last time {why} ({case.where}). Ask an operator of "
        f"the cluster about these nodes, then run the job again.{log}"
    )
    return _error("node_failed", message, case.request)


def lost(case: Case, tries: int) -> dict[str, Any]:
    """Give the error object of a rule run that SLURM knows nothing of any more."""
    message = (
        f"Stage {case.request.rule} has left no trace: SLURM no longer knows {case.where}, and it "
        f"did not say how it ended (submitted {tries} time{'s' * (tries > 1)}). Was the controller "
        "started without its state, or is the job directory not the same on the nodes? Run the "
        "job again."
    )
    return _error("slurm_lost", message, case.request)


def never_starts(request: Request, reason: str, advice: str, slurm_job: str = "") -> dict[str, Any]:
    """Give the error object of a rule run that SLURM will not start, or does not take.

    Parameters
    ----------
    request : Request
        What it asks for.
    reason : str
        SLURM's word.
    advice : str
        What to do.
    slurm_job : str
        Its id if SLURM had taken it.
    """
    said = f"SLURM would never start job {slurm_job}" if slurm_job else "SLURM does not take it"
    todo = f" To do: {advice}." if advice else ""
    message = (
        f"Stage {request.rule} cannot run: {said}: {reason}. It asks for {request.asked()}.{todo}"
    )
    return _error("never_starts", message, request)


def cluster_away(request: Request, since: str, said: str, patience: float) -> dict[str, Any]:
    """Give the error object of a rule run that SLURM gave no answer about for too long.

    Parameters
    ----------
    request : Request
        What it asks for.
    since : str
        When that began.
    said : str
        What SLURM's commands say.
    patience : float
        How long was waited, in seconds.
    """
    message = (
        f"Stage {request.rule} could not run: since {since} SLURM has not answered, or not taken "
        f"it, for longer than {patience:g} s (patience in the profile): {said}. What is done is "
        "kept: run the job again when the cluster is back."
    )
    return _error("cluster_away", message, request)


def end_of(log: Path) -> str:
    """Give the end of a log; nothing if there is none."""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _LAST))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""


def _error(code: str, message: str, request: Request) -> dict[str, Any]:
    return {"code": code, "message": message, "stage": request.rule, "problems": []}


def _raise(request: Request, name: str, to: int) -> str:
    return (
        f"Ask for more, for example --resource {request.rule}:{name}={to}, or let the profile do "
        f"so (types, stages, {request.rule}, {name})."
    )


def _more(request: Request, used: float | None) -> int:
    """Propose an amount of memory: half as much again as was seen, in steps of 500 MB."""
    least = max(request.memory_mb or 1000, used or 0) * 1.5
    return -(-int(least) // 500) * 500


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _tail(log: str) -> str:
    return "\n".join(log.strip().splitlines()[-_LAST_LINES:])
