"""From a profile to what Snakemake is told about SLURM: its command line and its resources."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from runner.errors import InvalidConfiguration
from runner.profile import Profile
from runner.resources import Plan
from runner.slurm.submission import MOST

# What a profile says, what Snakemake is told (the names of Snakemake's own SLURM plugin).
PLACE = {
    "account": "slurm_account",
    "partition": "slurm_partition",
    "qos": "qos",
    "constraint": "constraint",
    "reservation": "slurm_reservation",
    "extra": "slurm_extra",
}
_PATIENCE = ("interval", "patience", "hopeless", "resubmissions", "overhead_mb")
_HIGHEST = 100  # priority
NICE = 10  # per point of priority
_LATENCY = 30  # seconds for which a shared file system may hide what a node has just written


def arguments(
    profile: Profile,
    *,
    run: str,
    folder: Path,
    events: Path,
    attempt: int,
    stages: Iterable[str] = (),
    jobs: int = 100,
) -> list[str]:
    """Give Snakemake's arguments that have an attempt's rules run by SLURM.

    Parameters
    ----------
    profile : Profile
        Says how patient the runner is with the cluster.
    run : str
        Name that all SLURM jobs of the attempt get; nobody else may have it.
    folder : Path
        Where a folder for each rule run is made: ``attempts/<n>/slurm``; absolute.
    events : Path
        Where is written what happens; absolute.
    attempt : int
        Number of the attempt.
    stages : iterable of str
        Rules that are stages: it is told what they wait for.
    jobs : int
        How many rule runs may be in SLURM at the same time.
    """
    argv = ["--executor", "jobrunner-slurm", "--jobs", str(jobs)]
    argv += ["--jobrunner-slurm-run", run, "--jobrunner-slurm-folder", str(folder)]
    argv += ["--jobrunner-slurm-events", str(events)]
    argv += ["--jobrunner-slurm-attempt", str(attempt)]
    argv += ["--jobrunner-slurm-stages", ",".join(stages)]
    argv += ["--latency-wait", str(_LATENCY)]
    for name in _PATIENCE:
        if name in profile.slurm:
            option = name.removesuffix("_mb")
            argv += [f"--jobrunner-slurm-{option}", str(profile.slurm[name])]
    return argv


def resources(
    profile: Profile, type_name: str, plan: Plan, priority: int = 0
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Give the Snakemake resources that SLURM is asked for.

    Parameters
    ----------
    profile : Profile
        Says where in the cluster rules run: in general, by job type, by stage.
    type_name : str
        The job type.
    plan : Plan
        What each stage may take.
    priority : int
        Of the job, from -100 to 100.

    Returns
    -------
    tuple of (dict, dict)
        Those of all rules, and for each stage those that it has instead or beside.
        ``mem_mb`` (MB) is what the rule may use, ``runtime`` is in whole minutes. What is said of
        the whole is a default: a rule's own resources go before it, within ``slurm_most_…``.

    Raises
    ------
    InvalidConfiguration
        If ``extra`` cannot be split into options.
    """
    of_type = profile.types.get(type_name, {})
    default = {**_place(profile.slurm), **_of_priority(profile.slurm, priority), **_place(of_type)}
    default |= {**_amounts(plan.whole), **_most(plan.whole)}
    gpu = default.pop("gpu", None)  # a rule that is no stage does not compute
    shared = gpu and not any("gpu" in own for own in plan.declared.values())
    stages = {}
    for name, amounts in plan.stages.items():
        own = {**({"gpu": gpu} if shared else {}), **_amounts(plan.declared.get(name, {}))}
        place = _place(of_type.get("stages", {}).get(name, {}))
        stages[name] = {**own, **_most(amounts), **place}
    return default, stages


def _place(given: Mapping[str, Any]) -> dict[str, Any]:
    _check_extra(given.get("extra", ""))
    return {resource: given[name] for name, resource in PLACE.items() if name in given}


def _check_extra(extra: str) -> None:
    """Refuse an ``extra`` that no shell would understand, before anything is started with it."""
    try:
        shlex.split(extra)
    except ValueError as error:
        raise InvalidConfiguration(
            f"The profile's extra options of sbatch, {extra!r}, are not readable: {error}. Correct "
            "the quotes (slurm, extra, or that of a job type or stage)."
        ) from error


def _of_priority(slurm: Mapping[str, Any], priority: int) -> dict[str, Any]:
    """Give what makes SLURM prefer a job to others: how nice it is, and a QOS from a threshold on.

    Everybody may be nice to others, nobody but an operator may be the opposite.
    """
    found: dict[str, Any] = {}
    if nice := round((_HIGHEST - priority) * slurm.get("nice", NICE)):
        found["slurm_nice"] = nice
    thresholds = {int(least): qos for least, qos in slurm.get("priority_qos", {}).items()}
    if reached := [least for least in thresholds if least <= priority]:
        found["qos"] = thresholds[max(reached)]
    return found


def _most(plan: Mapping[str, Any]) -> dict[str, int]:
    return {resource: math.ceil(plan[name]) for name, resource in MOST.items() if name in plan}


def _amounts(plan: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: int(plan[name]) for name in ("mem_mb", "gpu") if name in plan}
    if "runtime" in plan:
        found["runtime"] = math.ceil(plan["runtime"])  # SLURM counts whole minutes
    return found
