"""Rule runs that a test submits itself, as the executor does."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from runner.slurm import fence
from tests.slurm.cluster import Cluster

GUARD = Path(fence.__file__).with_name("guard.py")


@dataclass(frozen=True)
class Attempt:
    """Rule runs of one attempt, whose SLURM jobs have the name `run`."""

    cluster: Cluster
    folder: Path
    run: str

    def submit(
        self, name: str, *command: str, submission: int = 1, options: tuple[str, ...] = ()
    ) -> str:
        """Submit a rule run; give its SLURM job."""
        fence.raise_to(self.folder / name, submission)
        guard = [sys.executable, "-S", "-E", str(GUARD), str(self.folder / name), str(submission)]
        asked = (f"--job-name={self.run}", "--mem=100", "--time=5", *options)
        return self.cluster.submit(f"exec {shlex.join([*guard, '--', *command])}", *asked)

    def known(self) -> list[str]:
        """Give the states of its SLURM jobs that have not ended."""
        found = self.cluster.run("squeue", "--noheader", f"--name={self.run}", "-o", "%T")
        return found.split()
