"""By what the rules of an attempt run, what they may take, and in which environments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.jobtype import JobType
from runner.limits import OTHERS
from runner.options import RunOptions
from runner.profile import Profile
from runner.resources import Plan
from runner.slurm import settings

_COUNTED = ("mem_mb", "disk_mb", "gpu")  # what Snakemake keeps within the attempt's total


@dataclass(frozen=True)
class Execution:
    """How the rules of an attempt run.

    Attributes
    ----------
    job_type : JobType
        Whose rules.
    plan : Plan
        What the attempt and each stage may take.
    deployment : sequence of str
        Snakemake's arguments for environments.
    profile : Profile
        Where in a cluster rules run, if its executor is one.
    """

    job_type: JobType
    plan: Plan
    deployment: Sequence[str]
    profile: Profile

    def arguments(
        self, options: RunOptions, folder: Path, events: Path, run: str | None
    ) -> list[str]:
        """Give Snakemake's arguments for the executor and for resources.

        Parameters
        ----------
        options : RunOptions
            What the attempt runs.
        folder : Path
            Folder of the attempt, named by its number; absolute.
        events : Path
            Where is written what happens; absolute.
        run : str or None
            Name of the attempt's jobs in SLURM.
        """
        if run is None:
            return self._here(options, folder)
        argv = ["--local-cores", str(options.cores), "--logger-jobrunner-remote"]
        argv += settings.arguments(
            self.profile,
            run=run,
            folder=folder / "slurm",
            events=events,
            attempt=int(folder.name),
            stages=self.job_type.stage_names,
        )
        default, stages = settings.resources(
            self.profile, self.job_type.name, self.plan, options.priority
        )
        return argv + _resources(folder, default, stages, self._threads())

    def _here(self, options: RunOptions, folder: Path) -> list[str]:
        total = {**self.plan.attempt, "mem_mb": options.mem_mb}
        together = [f"{name}={total[name]}" for name in _COUNTED if total.get(name)]
        argv = ["--cores", str(options.cores)]
        argv += ["--resources", *together] if together else []
        declared = self.plan.declared.items()
        stages = {name: {n: own[n] for n in _COUNTED if n in own} for name, own in declared}
        return argv + _resources(folder, {}, stages, self._threads())

    def _threads(self) -> dict[str, int]:
        """Give the cores of stages of which that is said; other rules say it themselves."""
        declared = self.plan.declared.items()
        return {name: own["cores"] for name, own in declared if "cores" in own}


def stage_folder(folder: Path, rule: str | None = None) -> Path:
    """Give the folder in which an attempt keeps what a rule may take, and what it took.

    Parameters
    ----------
    folder : Path
        Folder of the attempt.
    rule : str, optional
        A stage; without it that of all rules that are none.
    """
    return folder / "stages" / (rule or OTHERS)


def _resources(
    folder: Path,
    default: Mapping[str, Any],
    stages: Mapping[str, Mapping[str, Any]],
    threads: Mapping[str, int],
) -> list[str]:
    """Give resources as Snakemake reads them.

    Snakemake sets the variable TMPDIR of a rule to its resource `tmpdir`: by that the stage shell
    knows which rule it runs.
    """
    # without these two, any default would bring Snakemake's own for memory and disk
    everywhere = {"mem": None, "disk": None, "tmpdir": str(stage_folder(folder)), **default}
    if "mem_mb" in default:
        del everywhere["mem"]
    argv = ["--default-resources", *_written(everywhere)]
    argv.append("--set-resources")
    for name, own in stages.items():
        with_folder = {"tmpdir": str(stage_folder(folder, name)), **own}
        argv += [f"{name}:{text}" for text in _written(with_folder)]
    if threads:
        argv += ["--set-threads", *(f"{name}={number}" for name, number in threads.items())]
    return argv


def _written(resources: Mapping[str, Any]) -> Iterable[str]:
    return (f"{name}={value!r}" for name, value in resources.items())
