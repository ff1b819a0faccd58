"""Our SLURM executor against Snakemake's own (with its defaults): submit to done, and questions.

On a SLURM of this machine's own (``tests/slurm``), a job of one rule and one of twenty, in
interleaved rounds. The other executor gets an environment of its own, made from pinned hashes
(``requirements-slurm-plugin.lock``): installed beside Snakemake it would slow down each of its
starts. What is measured is the whole ``snakemake`` command; on the nodes each side runs its own
Snakemake, and each is left at its defaults.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the tests' cluster

from tests.slurm import official_plugin
from tests.slurm.cluster import Cluster, missing
from tests.slurm.configuration import Options

ASKING = ("squeue", "sacct", "scontrol", "sacctmgr", "sinfo")
COUNTED = (*ASKING, "sbatch", "srun")
DEFAULTS = ("mem_mb=600", "runtime=5", "slurm_account=climate", "slurm_partition=main")
SIDES = ("jobrunner", "official")


@dataclass(frozen=True)
class Figure:
    """Seconds from the command to its end, and how many questions SLURM was asked meanwhile."""

    seconds: float
    questions: int


def python_of(side: str) -> str:
    """Give the interpreter of a side; the environment of the other is made if it is not there."""
    return sys.executable if side == "jobrunner" else str(official_plugin.installed() / "python")


def snakefile(count: int) -> str:
    """Write a workflow of rules that do next to nothing and do not depend on each other."""
    return (
        f"rule all:\n    input: expand('{{n}}.txt', n=range({count}))\n"
        "rule one:\n    output: '{n}.txt'\n    shell: 'touch {output}'\n"
    )


def counting(folder: Path, cluster: Cluster) -> Path:
    """Make a folder for PATH whose commands note down each call; give the file of notes.

    They say which cluster is meant: the official plugin removes that from the environment of the
    nodes, where it is not needed if a cluster is at its usual place.
    """
    folder.mkdir()
    which = "\n".join(f'export {name}="{value}"' for name, value in cluster.environment.items())
    for name in COUNTED:
        call = f'echo {name} >> "{folder}/calls"\nexec "{shutil.which(name)}" "$@"'
        (folder / name).write_text(f"#!/bin/sh\n{which}\n{call}\n")
        (folder / name).chmod(0o755)
    return folder / "calls"


def run(side: str, count: int, cluster: Cluster, folder: Path) -> Figure:
    """Run a job of so many rules on a side.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    calls = counting(folder / "bin", cluster)
    (folder / "Snakefile").write_text(snakefile(count))
    executor = "jobrunner-slurm" if side == "jobrunner" else "slurm"
    command = [python_of(side), "-m", "snakemake", "--executor", executor, "--jobs", "100"]
    command += ["--default-resources", *DEFAULTS]
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    environment = {**os.environ, **cluster.environment, "PATH": path}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{side} failed:\n{done.stdout}{done.stderr}")
    asked = [name for name in calls.read_text().split() if name in ASKING]
    return Figure(seconds, len(asked))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rules", type=int, nargs="+", default=[1, 20])
    given = parser.parse_args()
    if absent := missing(with_accounting=True):
        raise SystemExit(f"Install Debian's packages: {' '.join(absent)}")
    for side in SIDES:
        python_of(side)
    with (
        tempfile.TemporaryDirectory(prefix="jobrunner-bench-") as folder,
        Cluster(Path(folder, "c"), Options(accounting=True)) as cluster,
    ):
        for count in given.rules:
            figures: dict[str, list[Figure]] = {side: [] for side in SIDES}
            for number in range(given.rounds):
                for side in SIDES:
                    place = Path(folder, f"{side}{count}.{number}")
                    place.mkdir()
                    figure = run(side, count, cluster, place)
                    figures[side].append(figure)
                    print(
                        f"round {number + 1}, {count} rules: {side:10} {figure.seconds:6.1f} s, "
                        f"{figure.questions} questions",
                        flush=True,
                    )
            report(count, figures)


def report(count: int, figures: dict[str, list[Figure]]) -> None:
    """Print the medians, and their ratio."""
    middle = {side: statistics.median(f.seconds for f in found) for side, found in figures.items()}
    for side, found in figures.items():
        rate = 60 * sum(f.questions for f in found) / sum(f.seconds for f in found)
        print(f"{count} rules, {side}: {middle[side]:.1f} s, {rate:.1f} questions a minute")
    print(f"{count} rules: ratio {middle['jobrunner'] / middle['official']:.2f}")


if __name__ == "__main__":
    main()
