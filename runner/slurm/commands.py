"""SLURM's commands, asked so that no answer, a refusal and an answer stay three things."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

LIMIT = 90.0  # seconds; a command gives up by itself after some tens
_QUEUE = ("id", "state", "comment", "nodes", "reason")  # the last may have any text in it
_QUEUE_FORMAT = "%i|%T|%k|%N|%r"
_ACCOUNTS = ("JobID", "State", "MaxRSS", "Elapsed", "NodeList")

# What commands say when nobody listens: the request has not been heard. (22.05)
_UNHEARD = re.compile(
    r"Unable to contact slurm controller|connection refused|Communication connection failure",
    re.IGNORECASE,
)
# When the answer got lost: what was asked for may have been done.
_UNSURE = re.compile(
    r"Socket timed out|Zero Bytes were transmitted|Unexpected message received|Transport endpoint"
    r"|Connection (reset|timed out)|\b(send|receive|shutdown) failure"
    r"|Header lengths are longer|Insane message length",
    re.IGNORECASE,
)
# When the way to the controller, or the controller itself, is not in order just now.
_DISTURBED = re.compile(
    r"munge|authentication|credential|standby mode|Resource temporarily unavailable"
    r"|temporarily unable|Unable to process configuration file|Could not establish a configuration"
    r"|I/O error writing|Unable to contact slurmdbd|[Uu]nable to connect to database"
    r"|Rate limit exceeded"
    r"|Slurm Persistent Connection|Slurm database error|Unable to (open|create) (socket|stream)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Answer:
    """What a command gave.

    Attributes
    ----------
    kind : {"ok", "away", "refused"}
        ``away``: SLURM could not be asked, or did not answer; it may be there a minute later.
    text : str
        Its output.
    said : str
        Its complaints, in one line.
    unsure : bool
        With ``away``: what was asked for may have been done nevertheless.
    """

    kind: Literal["ok", "away", "refused"]
    text: str = ""
    said: str = ""
    unsure: bool = False


@dataclass(frozen=True)
class Row:
    """A job in the list of SLURM: its id, state, comment, nodes, and why it waits."""

    id: str
    state: str
    comment: str
    nodes: str
    reason: str


@dataclass(frozen=True)
class Account:
    """What the accounting knows of a job.

    Attributes
    ----------
    state : str
        Without the addition of who cancelled it.
    by : int or None
        The user id of whoever cancelled it.
    over_memory : bool
        Whether the kernel ended any step of it for its memory.
    largest_mb : float or None
        Largest memory that a step of it was seen with, in MB.
    elapsed : str
        Wall time as ``[days-]hours:minutes:seconds``.
    nodes : str
        Where it ran.
    """

    state: str
    by: int | None
    over_memory: bool
    largest_mb: float | None
    elapsed: str
    nodes: str


def ask(*argv: str, script: str = "", limit: float = LIMIT, conf: str | None = None) -> Answer:
    """Run a command of SLURM; it never takes longer than `limit` seconds.

    It runs in a session of its own: an interrupt of Snakemake's process group must not cut off a
    submission that may just have been accepted.

    Parameters
    ----------
    *argv : str
        The command.
    script : str
        Its standard input.
    limit : float
        Seconds.
    conf : str, optional
        ``SLURM_CONF`` of the cluster that is meant; empty: the host's own configuration. By
        default this process's.
    """
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(conf), start_new_session=True, text=True, errors="replace",
        )  # fmt: skip
    except FileNotFoundError:
        return Answer("refused", said=f"{argv[0]} is not on the PATH of {os.uname().nodename}")
    except OSError as error:  # no memory, no process
        return Answer("away", said=f"{argv[0]}: {error.strerror}")
    with process:
        try:
            text, said = process.communicate(script, timeout=limit)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return Answer("away", said=f"{argv[0]} took longer than {limit:g} s", unsure=True)
    return _understood(process.returncode, text, _plain(said))


def _plain(said: str) -> str:
    """Write complaints in one line, without the name of the command before each."""
    lines = [re.sub(r"^\S+: ((error|fatal): )?", "", line.strip()) for line in said.splitlines()]
    return "; ".join(line for line in lines if line and not line.startswith('Try "'))


def _understood(code: int, text: str, said: str) -> Answer:
    if code == 0:
        return Answer("ok", text, said)
    if code < 0 or _UNSURE.search(said):  # killed, or without an answer
        return Answer("away", text, said or f"ended by signal {-code}", unsure=True)
    if _UNHEARD.search(said) or _DISTURBED.search(said):
        return Answer("away", text, said)
    return Answer("refused", text, said or f"exit code {code}")


def environment(conf: str | None = None) -> dict[str, str]:
    """Give this process's environment without what would change what commands do or print.

    If it runs in a SLURM job itself, that job's variables would be taken for options.
    """
    kept = {"SLURM_CONF", "SLURM_CLUSTERS"}
    names = ("SLURM", "SQUEUE_", "SACCT_", "SCANCEL_")
    found = {k: v for k, v in os.environ.items() if k in kept or not k.startswith(names)}
    if conf is not None:
        found["SLURM_CONF"] = conf
    if not found.get("SLURM_CONF"):  # empty, it would be taken for the name of a file
        found.pop("SLURM_CONF", None)
    return {**found, "LC_MESSAGES": "C"}


def submit(arguments: Sequence[str], script: str) -> Answer:
    """Submit a batch script; the text of an ``ok`` answer is the id of the SLURM job."""
    answer = ask("sbatch", "--parsable", *arguments, script=script)
    if answer.kind != "ok":
        return answer
    slurm_job = answer.text.strip().partition(";")[0]
    if not slurm_job.isdigit():
        return Answer("away", said=f"sbatch said {answer.text.strip()!r}", unsure=True)
    return Answer("ok", slurm_job, answer.said)


def queue(run: str) -> tuple[Answer, list[Row]]:
    """Give what SLURM knows of the jobs of a run, also of those that have ended lately.

    Parameters
    ----------
    run : str
        The name that all of them have. The user is named, too: then the controller sends their
        jobs only.
    """
    answer = ask(
        "squeue", "--noheader", "--all", "--states=all", f"--user={os.geteuid()}",
        f"--name={run}", "-o", _QUEUE_FORMAT,
    )  # fmt: skip
    if answer.kind != "ok":
        return answer, []
    lines = (line.split("|", len(_QUEUE) - 1) for line in answer.text.splitlines())
    return answer, [Row(*(part.strip() for part in line)) for line in lines if len(line) > 4]


def accounts(slurm_jobs: Iterable[str]) -> tuple[Answer, dict[str, Account]]:
    """Ask the accounting for jobs by their ids."""
    answer = ask(
        "sacct", "--noheader", "--parsable2", f"--jobs={','.join(slurm_jobs)}",
        f"--format={','.join(_ACCOUNTS)}",
    )  # fmt: skip
    lines = [line.split("|") for line in answer.text.splitlines()]
    steps: dict[str, list[list[str]]] = {}
    for fields in lines:
        if len(fields) == len(_ACCOUNTS):
            steps.setdefault(fields[0].partition(".")[0], []).append(fields)
    return answer, {slurm_job: _account(found) for slurm_job, found in steps.items()}


def _account(steps: Sequence[Sequence[str]]) -> Account:
    """Put together the lines of a job: first the job itself, then its steps."""
    _, state, _, elapsed, nodes = steps[0]
    name, _, by = state.partition(" by ")
    return Account(
        state=name,
        by=int(by) if by.isdigit() else None,
        over_memory=any(step[1].startswith("OUT_OF_ME") for step in steps),
        largest_mb=max((_megabytes(step[2]) or 0 for step in steps), default=0) or None,
        elapsed=elapsed,
        nodes="" if nodes == "None assigned" else nodes,
    )


def cancel(*slurm_jobs: str) -> Answer:
    """Ask for the end of jobs."""
    return ask("scancel", *slurm_jobs)


def _megabytes(size: str) -> float | None:
    """Read an amount of memory as sacct prints it: ``376748K``; MB are 2^20 bytes to SLURM."""
    units = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}
    try:
        return float(size[:-1]) * units[size[-1]] if size[-1:] in units else float(size) / 2**20
    except ValueError:
        return None
