"""What tests ask and tell a running cluster."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.slurm.processes import Daemons, until

_Found = TypeVar("_Found")
COLUMNS = {
    "id": "%i", "name": "%j", "state": "%T", "reason": "%r", "partition": "%P", "account": "%a",
    "qos": "%q", "node": "%N", "priority": "%Q", "user": "%u", "comment": "%k",
}  # fmt: skip
ENDED = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
    "PREEMPTED", "TIMEOUT",
}  # fmt: skip


class Commands:
    """SLURM's own commands, run as the user of the cluster."""

    daemons: Daemons

    @property
    def folder(self) -> Path:
        """Where the cluster has its files; jobs of `submit` run in ``work``."""
        return self.daemons.folder

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make SLURM's commands talk to this cluster."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def command(self, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever that is."""
        return self.daemons.once(*argv, env=self.environment)

    def run(self, *argv: str | Path, check: bool = True) -> str:
        """Run a command; give what it printed."""
        done = self.command(*argv)
        if check and done.returncode != 0:
            raise RuntimeError(f"{argv} gave {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def submit(self, script: str, *options: str) -> str:
        """Submit a shell script; give the id of its job. It writes to ``work/<id>.out``."""
        work = self.folder / "work"
        file = work / f"{secrets.token_hex(4)}.sh"
        file.write_text(f"#!/bin/sh\n{script}\n")
        where = (f"--chdir={work}", f"--output={work}/%j.out")
        return self.run("sbatch", "--parsable", *where, *options, file)

    def jobs(self) -> list[dict[str, str]]:
        """Give all jobs that the controller knows, also those that ended."""
        form = "|".join(COLUMNS.values())
        rows = self.run("squeue", "--all", "--states=all", "--noheader", "-o", form)
        return [dict(zip(COLUMNS, row.split("|"), strict=True)) for row in rows.splitlines()]

    def job(self, job_id: str) -> dict[str, str]:
        """Give one job."""
        return next(job for job in self.jobs() if job["id"] == job_id)

    def until_state(self, job_id: str, *states: str, timeout: float = 30) -> dict[str, str]:
        """Wait until a job has one of the states, or any in which it ended; give its row."""
        states = states or tuple(sorted(ENDED))

        def look() -> dict[str, str]:
            found = self.job(job_id)
            return found if found["state"] in states else {}

        return until(look, f"{job_id} is {' or '.join(states)}", timeout)

    def wait_until(self, look: Callable[[], _Found], timeout: float = 30, what: str = "") -> _Found:
        """Give what `look` finds, once it finds something."""
        return until(look, what, timeout)

    def answers(self) -> bool:
        """Say whether the controller answers."""
        done = self.command("scontrol", "ping")
        return done.returncode == 0 and " is UP" in done.stdout

    def node_states(self) -> dict[str, str]:
        """Give the state of each node, as sinfo has it."""
        rows = self.run("sinfo", "--Node", "--noheader", "-o", "%N|%T").splitlines()
        return {name: state for name, _, state in (row.partition("|") for row in rows)}
