"""What stages of past jobs used, and what that says about the resources that they need."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.files import read_json, read_yaml
from runner.home import Home

PERCENTILE = 95
MEMORY_MARGIN, MEMORY_STEP = 1.25, 100  # MB
RUNTIME_MARGIN, SHORTEST = 2, 5  # minutes
_TOLERANCE = 0.1  # of a core: what a program takes beside the threads that it computes with


@dataclass
class StageUsage:
    """What one stage used in past jobs.

    Attributes
    ----------
    jobs : set of str
        The jobs that it is known of.
    memory, cores, minutes : list of float
        Of each attempt in which it came to its end: peak of memory (MB, 2²⁰ bytes), CPU time by
        wall time, and wall time, of one run of its rule.
    short : int
        How many attempts ended because it had too little memory; their figures do not count.
    """

    stage: str
    jobs: set[str] = field(default_factory=set)
    memory: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    minutes: list[float] = field(default_factory=list)
    short: int = 0

    def add(self, job: str, used: Mapping[str, Any]) -> None:
        """Count one attempt; `used` as `runner.limits.used` gives it."""
        self.jobs.add(job)
        self.memory.append(used["peak_mb"])
        self.minutes.append(used["seconds"] / used["runs"] / 60)
        if used["seconds"]:
            self.cores.append(used["cpu_seconds"] / used["seconds"])

    def measured(self) -> dict[str, float]:
        """Give the 95th percentiles: ``mem_mb``, ``cores``, ``runtime`` (minutes)."""
        found = {"mem_mb": self.memory, "cores": self.cores, "runtime": self.minutes}
        return {name: round(percentile(values), 2) for name, values in found.items()}

    def proposed(self) -> dict[str, int]:
        """Give resources that would have been enough: the 95th percentiles, with a margin."""
        measured = self.measured()
        memory = math.ceil(measured["mem_mb"] * MEMORY_MARGIN / MEMORY_STEP) * MEMORY_STEP
        return {
            "cores": max(1, math.ceil(measured["cores"] - _TOLERANCE)),
            "mem_mb": max(MEMORY_STEP, memory),
            "runtime": max(SHORTEST, math.ceil(measured["runtime"] * RUNTIME_MARGIN)),
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
        if wanted and f"type: {wanted}\n" not in path.read_text(encoding="utf-8"):
            continue  # YAML of thousands of jobs takes long
        job = read_yaml(path)
        for record in _records(path.parent):
            for type_name, stage, used, short in _of_attempt(job, record):
                if wanted not in (None, type_name):
                    continue
                usage = found[type_name].setdefault(stage, StageUsage(stage))
                if short:
                    usage.short += 1
                elif used:
                    usage.add(job["id"], used)
    return dict(found)


def _records(job: Path) -> Iterator[dict[str, Any]]:
    for path in job.glob("attempts/*.json"):
        try:
            yield read_json(path)
        except (OSError, ValueError):
            continue


def _of_attempt(
    job: Mapping[str, Any], record: Mapping[str, Any]
) -> Iterator[tuple[str, str, dict[str, Any] | None, bool]]:
    """Give type, stage and use of what came to its own end; of what failed only if it was memory.

    What was stopped used less than it would have.
    """
    if record.get("outcome") not in ("succeeded", "failed"):
        return
    error = record.get("error") or {}
    failed = error.get("stage")
    for stage, used in ((record.get("used") or {}).get("stages") or {}).items():
        short = stage == failed and error.get("code") == "out_of_memory"
        if stage == failed and not short:
            continue
        yield job["type"], stage, used, short
        for name, part in (job.get("sub_jobs") or {}).items():
            if stage.startswith(f"{name}_"):
                yield part["type"], stage.removeprefix(f"{name}_"), used, short
