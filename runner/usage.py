"""What stages of past jobs used, and what that says about the resources that they need."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import limits, outcome
from runner.files import read_json, read_yaml
from runner.home import Home
from runner.limits import records

PERCENTILE = 95
MEMORY_MARGIN, MEMORY_STEP = 1.25, 100  # MB
RUNTIME_MARGIN, SHORTEST = 2, 5  # minutes
_LIMITS = {"out_of_memory": "mem_mb", "time_limit": "runtime"}  # which was too small, by error code
_TOLERANCE = 0.1  # of a core: what a program takes beside the threads that it computes with


@dataclass
class StageUsage:
    """What one stage used in past jobs.

    Attributes
    ----------
    jobs : set of str
        The jobs that it is known of.
    memory, cores, minutes : list of float
        Of each attempt in which it came to its end: peak of memory (MB, 2²⁰ bytes) of the largest
        run of its rule, CPU time by wall time, and wall time of the longest run.
    too_small : dict
        By resource, ``mem_mb`` and ``runtime`` (minutes): the limit of each attempt that ended
        because it was too small, 0 if it is not known. What was used then does not count.
    """

    stage: str
    jobs: set[str] = field(default_factory=set)
    memory: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    minutes: list[float] = field(default_factory=list)
    too_small: dict[str, list[float]] = field(default_factory=lambda: {"mem_mb": [], "runtime": []})

    def add(self, job: str, used: Mapping[str, Any]) -> None:
        """Count one attempt; `used` as `runner.limits.used` gives it."""
        self.jobs.add(job)
        self.memory.append(used["peak_mb"])
        longest = used.get("longest_seconds", used["seconds"] / used["runs"])  # else an old record
        self.minutes.append(longest / 60)
        if used["seconds"]:
            self.cores.append(used["cpu_seconds"] / used["seconds"])

    def measured(self) -> dict[str, float]:
        """Give the 95th percentiles: ``mem_mb``, ``cores``, ``runtime`` (minutes)."""
        found = {"mem_mb": self.memory, "cores": self.cores, "runtime": self.minutes}
        return {name: round(percentile(values), 2) for name, values in found.items()}

    def proposed(self) -> dict[str, int]:
        """Give resources that would have been enough: the 95th percentiles, with a margin.

        Where a limit was too small, that limit with the margin, if it is more.
        """
        measured = self.measured()
        least = {name: max(values, default=0) for name, values in self.too_small.items()}
        memory = max(measured["mem_mb"], least["mem_mb"]) * MEMORY_MARGIN
        runtime = max(measured["runtime"], least["runtime"]) * RUNTIME_MARGIN
        return {
            "cores": max(1, math.ceil(measured["cores"] - _TOLERANCE)),
            "mem_mb": max(MEMORY_STEP, math.ceil(memory / MEMORY_STEP) * MEMORY_STEP),
            "runtime": max(SHORTEST, math.ceil(runtime)),
        }


def percentile(values: Sequence[float], share: float = PERCENTILE) -> float:
    """Give the smallest value that at least `share` per cent do not exceed (nearest rank)."""
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(len(values) * share / 100) - 1)]


def collect(home: Home, wanted: str | None = None) -> dict[str, dict[str, StageUsage]]:
    """Read what the jobs of a home used; sub-jobs count for their own job type as well.

    Parameters
    ----------
    home : Home
        Its attempts are read.
    wanted : str, optional
        Only this job type.

    Returns
    -------
    dict
        By job type and stage.
    """
    found: dict[str, dict[str, StageUsage]] = defaultdict(dict)
    for path in home.jobs.glob("*/*/*/*/job.yaml"):
        if (job := _job(path, wanted)) is None:
            continue
        for folder, record in _records(path.parent):
            for stage, used in _used(record):
                for usage in _stages(found, job, stage, wanted):
                    usage.add(job["id"], used)
            for stage, name, limit in _too_small(folder, record):
                for usage in _stages(found, job, stage, wanted):
                    usage.too_small[name].append(limit)
    return dict(found)


def _job(path: Path, wanted: str | None) -> dict[str, Any] | None:
    """Read a job.yaml, if it is there still and that type is in it."""
    try:
        if wanted and f"type: {wanted}\n" not in path.read_text(encoding="utf-8"):
            return None  # YAML of thousands of jobs takes long
        return dict(read_yaml(path))
    except OSError:  # the job was deleted meanwhile
        return None


def _records(job: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Give the folder and the record of each attempt."""
    for path in job.glob("attempts/*.json"):
        try:
            yield path.with_suffix(""), read_json(path)
        except (OSError, ValueError):
            continue


def _stages(
    found: dict[str, dict[str, StageUsage]],
    job: Mapping[str, Any],
    stage: str,
    wanted: str | None,
) -> Iterator[StageUsage]:
    """Give where a stage counts: for the type of the job, and for that of its sub-job."""
    names = [(job["type"], stage)]
    for name, part in (job.get("sub_jobs") or {}).items():
        if stage.startswith(f"{name}_"):
            names.append((part["type"], stage.removeprefix(f"{name}_")))
    for type_name, its_name in names:
        if wanted in (None, type_name):
            yield found[type_name].setdefault(its_name, StageUsage(its_name))


def _used(record: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give what each stage used that came to its own end: one that was stopped needed more."""
    if record.get("outcome") not in ("succeeded", "failed"):
        return
    failed = (record.get("error") or {}).get("stage")
    for stage, used in ((record.get("used") or {}).get("stages") or {}).items():
        if stage != failed and used:
            yield stage, used


def _too_small(folder: Path, record: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Give the stage, name and value of the limit that has ended an attempt, if one of a stage."""
    error = record.get("error") or {}
    code, stage = error.get("code"), error.get("stage")
    if stage and code == "time_limit":  # or its program has one of its own, as a solver does
        ended = limits.exceeded(folder, stage) or outcome.of_cluster(folder, stage) or {}
        code = ended.get("code")
    if stage and code in _LIMITS:
        yield stage, _LIMITS[code], _limit(folder, stage, _LIMITS[code])


def _limit(folder: Path, stage: str, name: str) -> float:
    try:
        return float(records.limits(folder, stage).get(name) or 0)
    except (OSError, ValueError):  # removed before the record was
        return 0.0
