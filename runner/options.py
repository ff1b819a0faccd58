"""What of a job an attempt runs, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
        Memory in MB that rules may ask for together.
    executor : {"local", "slurm"}
        What runs the rules.
    priority : int
        From -100 to 100; a cluster is told of it.
    caps : mapping
        Bounds of the instance, by resource.
    resources : mapping
        Resources that were asked for of this attempt, beside those of the job.
    """

    cores: int = 2
    until: str | None = None
    stage: str | None = None
    only: bool = False
    sub_job: str | None = None
    plain: bool = False
    runtime: float | None = None
    mem_mb: int | None = None
    executor: str = "local"
    priority: int = 0
    caps: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)
