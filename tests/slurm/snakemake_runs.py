"""Snakemake with our executor, run by tests over a folder of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

from runner.command import die_with_parent
from tests.slurm.cluster import Cluster
from tests.slurm.processes import until

RULE = """
rule {name}:
    output: "{name}.txt"
    resources: {resources}
    shell: {command!r}
"""
SMALL = "mem_mb=100, runtime=5"


def rules(**commands: str | tuple[str, str]) -> str:
    """Write a Snakefile of rules that depend on nothing: a command, or resources and a command."""
    text = f"rule all:\n    input: {[f'{name}.txt' for name in commands]}\n"
    for name, given in commands.items():
        resources, command = ("", given) if isinstance(given, str) else given
        more = ", ".join(filter(None, [resources, SMALL if "mem_mb" not in resources else ""]))
        text += RULE.format(name=name, resources=more, command=command)
    return text


class SnakemakeRun:
    """One Snakemake process whose rules run on a cluster.

    Parameters
    ----------
    cluster
        Where.
    folder
        The job directory; made.
    snakefile
        Its text.
    *arguments
        Further ones for Snakemake.
    **settings
        Of the executor; the interval is one second.
    """

    def __init__(
        self, cluster: Cluster, folder: Path, snakefile: str, *arguments: str,
        path: Path | None = None, stages: str = "", **settings: object,
    ) -> None:  # fmt: skip
        folder.mkdir(exist_ok=True)
        self.cluster, self.folder, self.name = cluster, folder, f"jobrunner-{token_hex(4)}"
        (folder / "Snakefile").write_text(snakefile)
        files = {"folder": folder / "slurm", "events": folder / "events.jsonl"}
        given = {"run": self.name, **files, "attempt": 1, "stages": stages}
        given |= {"interval": 1, "hopeless": 2, **settings}
        options = [w for k, v in given.items() for w in (f"--jobrunner-slurm-{k}", str(v))]
        environment: Mapping[str, str] = {**os.environ, **cluster.environment}
        if path:
            environment = {**environment, "PATH": f"{path}:{environment['PATH']}"}
        words = ["--executor", "jobrunner-slurm", "--jobs", "100", "--nocolor", *options]
        with (folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *words, *arguments],
                cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
                preexec_fn=lambda: die_with_parent(signal.SIGINT),
            )  # fmt: skip

    def wait(self, timeout: float = 120) -> int:
        """Wait for its end; give its exit code."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise AssertionError(self.trouble) from error

    @property
    def output(self) -> str:
        """What it printed."""
        return (self.folder / "output").read_text()

    @property
    def trouble(self) -> str:
        """What to know of a run that did not do as it should; short enough to be shown whole."""
        failures = [path.read_text() for path in self.folder.glob("slurm/*/failure.json")]
        events = [f"{event}" for event in self.events()[-20:]]
        logs = [f"{path.name}: {path.read_text()[-300:]}" for path in self._failed_logs()]
        return "\n".join([*failures, *events, *logs, self.output[-2000:]])

    def _failed_logs(self) -> list[Path]:
        logs = sorted((self.folder / "logs" / "slurm").glob("*.log"))
        return [path for path in logs if "rror" in path.read_text()][:5]

    def events(self, **wanted: str) -> list[dict[str, Any]]:
        """Give the events that have these values."""
        path = self.folder / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        found = [json.loads(line) for line in lines]
        return [e for e in found if all(e.get(k) == v for k, v in wanted.items())]

    def notes(self) -> str:
        """Give what was told about the cluster."""
        return "\n".join(event["message"] for event in self.events(kind="note"))

    def failure(self, rule: str) -> dict[str, Any]:
        """Give the error object that SLURM's word for a failed rule became; empty without one."""
        for path in (self.folder / "slurm").glob(f"{rule}.*/failure.json"):
            return dict(json.loads(path.read_text()))
        return {}

    def submissions(self, rule: str) -> list[dict[str, Any]]:
        """Give the submissions of a rule that SLURM took."""
        lines = [
            line
            for path in (self.folder / "slurm").glob(f"{rule}.*/submissions.jsonl")
            for line in path.read_text().splitlines()
        ]
        return [json.loads(line) for line in lines]

    def slurm_job(self, rule: str) -> str:
        """Wait until SLURM has taken a rule; give the id of its job."""
        until(lambda: self.submissions(rule), f"{rule} is submitted")
        return str(self.submissions(rule)[-1]["slurm_job"])

    def until_running(self, rule: str) -> str:
        """Wait until the command of a rule runs: it makes ``<rule>.began``; give its SLURM job."""
        until(lambda: (self.folder / f"{rule}.began").exists(), f"{rule} runs", 60)
        return self.slurm_job(rule)


class Counted:
    """A folder for PATH whose commands note down each call and then call SLURM's own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.calls = folder, folder / "calls"
        for name in ("sbatch", "squeue", "sacct", "scancel", "scontrol"):
            self.write(name, f'echo "{name} $*" >> "{self.calls}"')

    def write(self, name: str, before: str, after: str = "") -> None:
        """Make a command: shell code, then SLURM's own, or `after` instead of ending with that."""
        real = shutil.which(name)
        last = f'"{real}" "$@"\n{after}' if after else f'exec "{real}" "$@"'
        (self.folder / name).write_text(f"#!/bin/sh\n{before}\n{last}\n")
        (self.folder / name).chmod(0o755)

    def count(self, name: str) -> int:
        """Tell how often a command was called."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return sum(line.split()[0] == name for line in lines)
