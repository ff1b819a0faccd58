"""From a rule run to a SLURM job: the arguments of sbatch, the batch script, and refusals."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from runner.processes import MARK

_GUARD = Path(__file__).with_name("guard.py")
_OPTIONS = {  # a Snakemake resource, and the option of sbatch that it becomes
    "slurm_account": "--account",
    "slurm_partition": "--partition",
    "qos": "--qos",
    "constraint": "--constraint",
    "slurm_reservation": "--reservation",
    "slurm_nice": "--nice",
    "nodes": "--nodes",
    "gres": "--gres",
}


# What a rule gets at most, whatever it says of itself; of processors also if it says nothing.
MOST = {"cores": "slurm_most_cpus", "mem_mb": "slurm_most_mem", "runtime": "slurm_most_runtime"}


@dataclass(frozen=True)
class Request:
    """What a rule run asks SLURM for.

    Attributes
    ----------
    rule : str
        The Snakemake rule.
    cpus : int
        Processors.
    memory_mb : int or None
        What the rule may use, in MB; None: what the cluster gives by default.
    overhead_mb : int
        What Snakemake and the guard need beside it on the node, in MB.
    minutes : int or None
        Wall time; None: the partition's default.
    resources : mapping
        All resources of the rule run by Snakemake's names.
    """

    rule: str
    cpus: int
    memory_mb: int | None
    overhead_mb: int
    minutes: int | None
    resources: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, rule: str, threads: int, resources: Mapping[str, Any], overhead_mb: int) -> Request:
        """Read what Snakemake knows of a rule run; amounts that are not numbers are left out."""
        memory = _within(_number(resources, "mem_mb"), resources, "mem_mb")
        minutes = _within(_number(resources, "runtime"), resources, "runtime")
        said = _number(resources, "cpus_per_task") or (threads if threads > 1 else None)
        cpus = _within(said or _number(resources, MOST["cores"]) or 1, resources, "cores") or 1
        known = {name: value for name, value in resources.items() if isinstance(value, int | str)}
        return cls(rule, cpus, memory, overhead_mb, minutes, known)

    def options(self) -> list[str]:
        """Give sbatch's options for it; those of ``slurm_extra`` come first: ours go before."""
        given = self.resources
        found = shlex.split(str(given.get("slurm_extra") or ""))
        found += [f"{o}={given[name]}" for name, o in _OPTIONS.items() if given.get(name)]
        found += [f"--ntasks={_number(given, 'tasks') or 1}", f"--cpus-per-task={self.cpus}"]
        if per_cpu := _number(given, "mem_mb_per_cpu"):
            found.append(f"--mem-per-cpu={per_cpu}")
        elif self.memory_mb is not None:
            found.append(f"--mem={self.memory_mb + self.overhead_mb}")
        if self.minutes is not None:
            found.append(f"--time={self.minutes}")
        if gpus := _number(given, "gpu"):
            model = given.get("gpu_model")
            found.append(f"--gpus={model}:{gpus}" if model else f"--gpus={gpus}")
        return found

    def asked(self) -> str:
        """Say for people what is asked for."""
        words = [f"{self.cpus} processor{'s' * (self.cpus > 1)}"]
        if self.memory_mb is not None:
            words.append(f"{self.memory_mb} MB of memory (+ {self.overhead_mb} MB for Snakemake)")
        if self.minutes is not None:
            words.append(f"{self.minutes} min of wall time")
        words += [
            f"{name} {self.resources[name]}" for name in ("gpu", "gres") if name in self.resources
        ]
        for name in ("slurm_partition", "slurm_account", "qos", "constraint", "slurm_reservation"):
            if self.resources.get(name):
                words.append(f"{name.removeprefix('slurm_')} {self.resources[name]}")
        return ", ".join(words)


def arguments(
    request: Request,
    *,
    run: str,
    comment: str,
    log: Path,
    directory: Path,
    avoid: Iterable[str] = (),
) -> list[str]:
    """Give sbatch's arguments for one submission of a rule run.

    Parameters
    ----------
    request : Request
        What it asks for.
    run : str
        Name of all jobs of the attempt.
    comment : str
        Of this submission; no other of the run may have it.
    log : Path
        Of the SLURM job; ``%j`` in its name is the job's id.
    directory : Path
        The job directory.
    avoid : iterable of str
        Nodes that failed.
    """
    pattern = f"{_literal(log.parent)}/{log.name}"
    found = request.options()
    found += [f"--job-name={run}", f"--comment={comment}", "--export=ALL"]
    # a job that SLURM starts again goes on in the same log
    found += [f"--output={pattern}", "--open-mode=append", f"--chdir={directory}"]
    nodes = ",".join(sorted(avoid))
    return [*found, f"--exclude={nodes}"] if nodes else found


def script(python: str, folder: Path, submission: int, command: Path) -> str:
    """Give the batch script: the guard, which runs the command if it may.

    Parameters
    ----------
    python : str
        Interpreter on the node.
    folder : Path
        Of the rule run.
    submission : int
        Which submission of it this is.
    command : Path
        Shell script of what is to be done.
    """
    words = [python, "-S", "-E", str(_GUARD), str(folder), str(submission)]
    # the mark is for what an attempt has left on the submitting host, which may be a node as well
    return f"#!/bin/sh\nunset {MARK}\nexec {shlex.join([*words, '--', '/bin/sh', str(command)])}\n"


@dataclass(frozen=True)
class Refusal:
    """What a refusal of sbatch means.

    Attributes
    ----------
    kind : {"full", "closed", "never", "unknown"}
        ``full``: as many jobs as may be are submitted; ``closed``: the partition is closed for now;
        ``never``: what is asked for cannot be had.
    advice : str
        What to do about it.
    """

    kind: Literal["full", "closed", "never", "unknown"]
    advice: str = ""


_REFUSALS: list[tuple[str, Refusal]] = [
    (r"(Max|Grp)(Submit|Jobs)\w*Limit|AccruingJobs|Job submit limit|MaxSubmitJobs|MaxJobCount"
     r"|MaxJobsPer|reached the limit of jobs|Too many jobs", Refusal("full")),
    (r"Required partition not available|partition.*(inactive|drain)|maintenance",
     Refusal("closed")),
    # which limit it is stands before that, mostly; of those that it may be, this one clears
    (r"\b(Assoc|QOS)\w+.*accounting/QOS policy",
     Refusal("never", "ask for less, or take another QOS or account")),
    (r"accounting/QOS policy|job submit limit", Refusal("full")),
    (r"partition", Refusal("never", "correct the partition, or account")),
    (r"account", Refusal("never", "correct the account")),
    (r"[Qq]os ", Refusal("never", "correct the QOS")),
    (r"reservation", Refusal("never", "correct the reservation")),
    (r"[Ff]eature|gres|GPU", Refusal("never", "correct constraint, gres or gpu")),
    (r"time limit",
     Refusal("never", "ask for less wall time (runtime), or take another partition")),
    (r"node configuration is not available|Memory (specification|required)|[Nn]ode count|CPU count"
     r"|More processors|Too many tasks",
     Refusal("never", "no node has what is asked for: ask for less")),
    (r"unrecognized option|[Ii]nvalid (option|argument|\S+ specification|--)|Unable to open file"
     r"|requires an argument", Refusal("never", "correct the options (slurm, extra)")),
    (r"not permitted|permission denied|Access denied|Invalid user|not on the PATH",
     Refusal("never", "ask an operator of the cluster")),
]  # fmt: skip


def refusal(said: str) -> Refusal:
    """Tell what sbatch's words mean.

    Parameters
    ----------
    said : str
        Its complaints.
    """
    for pattern, meaning in _REFUSALS:
        if re.search(pattern, said):
            return meaning
    return Refusal("unknown")


def _literal(path: Path) -> str:
    """Write a path so that SLURM takes no ``%`` in it for a pattern."""
    return str(path).replace("%", "%%")


def _within(value: int | None, resources: Mapping[str, Any], name: str) -> int | None:
    most = _number(resources, MOST[name])
    return min(value, most) if value is not None and most is not None else value


def _number(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
