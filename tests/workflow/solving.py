"""Scenarios on real platforms, and the stages of solve_scenario on them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.workflow.warm import Warm

SCRIPTS = ROOT / "workflow" / "solve_scenario" / "scripts"
EXAMPLES = ROOT / "examples" / "solve"
TRANSPORT = {"model": "transport problem", "scenario": "standard"}
EXPANSION = {"model": "capacity expansion", "scenario": "cap on emissions"}

READ_BACK = """
import json, sys
import ixmp4
from ixmp4.transport import DirectTransport
p = ixmp4.Platform(DirectTransport.from_dsn(sys.argv[1]))
found = []
runs = p.runs.tabulate(default_only=False, include_internal_columns=True)
for row in runs.to_dict("records"):
    run = p.runs.get(row["model"], row["scenario"], row["version"])
    found.append({
        "version": row["version"], "default": bool(row["is_default"]), "meta": dict(run.meta),
        "locked": str(row["lock_transaction"]) not in ("None", "nan"),
        "variables": {v.name: v.data for v in run.optimization.variables.list()},
        "equations": {e.name: e.data for e in run.optimization.equations.list()},
        "parameters": {q.name: q.data for q in run.optimization.parameters.list()},
        "columns": {v.name: [v.indexset_names, v.column_names]
                    for v in run.optimization.variables.list()},
        "checkpoints": run.checkpoints.tabulate()["message"].tolist(),
        "datapoints": len(run.iamc.tabulate()),
    })
print(json.dumps(found, default=str))
"""


class Job:
    """The files of a job, and its stages up to the store."""

    def __init__(
        self, folder: Path, ixmp4: Warm, linopy: Warm, dsn: str, name: str = "job-1"
    ) -> None:
        self.folder, self.ixmp4, self.linopy, self.dsn, self.name = folder, ixmp4, linopy, dsn, name
        folder.mkdir(exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """The environment with the platform's address; it is not waited for."""
        return {
            **os.environ, "JOBRUNNER_PLATFORM_DSN": self.dsn, "JOBRUNNER_PLATFORM_WAIT": "0",
        }  # fmt: skip

    def load(self, *more: str, **where: str) -> subprocess.CompletedProcess[str]:
        """Run the stage load."""
        wanted = {**TRANSPORT, **where}
        return self.ixmp4.run(
            [SCRIPTS / "load_items.py", "--model", wanted["model"], "--scenario",
             wanted["scenario"], "--output", self.folder / "items.json", "--error",
             self.folder / "error.json", *more],
            self.environment,
        )  # fmt: skip

    def build(self, *plugin: Any) -> subprocess.CompletedProcess[str]:
        """Run the stage build."""
        return self.linopy.run([SCRIPTS / "build_model.py", *self._model(plugin)])

    def _model(self, plugin: Any) -> list[str]:
        f = self.folder
        words = [
            "--items", f / "items.json", *plugin, "--model", f / "model.nc",
            "--about", f / "model.json", "--problems", f / "results", "--error", f / "error.json",
        ]  # fmt: skip
        return [str(word) for word in words]

    def solve(self, *more: Any, plugin: Any = ("--plugin", "transport")) -> Any:
        """Run the stage solve."""
        return self.linopy.run(self.solve_command(*more, plugin=plugin))

    def solve_command(self, *more: Any, plugin: Any = ("--plugin", "transport")) -> list[str]:
        """Give the command line of the stage solve."""
        f = self.folder
        words = [
            SCRIPTS / "solve_model.py", "--items", f / "items.json", *plugin,
            "--model", f / "model.nc", "--model-about", f / "model.json",
            "--solution", f / "solution.csv", "--about", f / "solution.json",
            "--problems", f / "results", "--error", f / "error.json", *more,
        ]  # fmt: skip
        return [str(word) for word in words]

    def store_command(self, *more: str) -> list[str]:
        """Give the command line of the stage store."""
        f = self.folder
        words = [
            SCRIPTS / "store_solution.py", "--items", f / "items.json", "--model", f / "model.json",
            "--solution", f / "solution.csv", "--about", f / "solution.json", "--job", self.name,
            "--output", f / "stored.json", "--error", f / "error.json",
            *(more or ("--set-default",)),
        ]  # fmt: skip
        return [str(word) for word in words]

    def store(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Run the stage store."""
        return self.ixmp4.run(self.store_command(*more), self.environment)

    def solved(self, plugin: Any = ("--plugin", "transport"), **where: str) -> Job:
        """Run the stages up to solve, which must go well."""
        for done in (self.load(**where), self.build(*plugin), self.solve(plugin=plugin)):
            assert done.returncode == 0, done.stderr + done.stdout
        return self

    def run(self, source: str, *more: Any) -> Job:
        """Load the transport problem and solve it with a plug-in of this source."""
        file = self.plugin(source)
        assert self.load().returncode == 0, self.error
        built = self.build(*file)
        if built.returncode == 0:
            self.solve(*more, plugin=file)
        return self

    def plugin(self, source: str) -> tuple[str, str]:
        """Write a plug-in and give the options that name it."""
        path = self.folder / "plugin.py"
        path.write_text(source)
        return ("--file", str(path))

    @property
    def error(self) -> Any:
        """The error document."""
        return json.loads((self.folder / "error.json").read_text(encoding="utf-8"))

    def document(self, name: str) -> Any:
        """Give one of the JSON files."""
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    @property
    def solution(self) -> dict[tuple[str, ...], tuple[float, float]]:
        """Level and marginal by name and elements."""
        with (self.folder / "solution.csv").open(newline="") as stream:
            _, *rows = csv.reader(stream)
        return {
            (name, *(e for e in elements if e)): (float(level), float(marginal))
            for _, name, level, marginal, *elements in rows
        }

    def on_platform(self) -> list[dict[str, Any]]:
        """Give what ixmp4's own interface reads, by version."""
        script = self.folder / "read_back.py"
        script.write_text(READ_BACK)
        done = self.ixmp4.run([script, self.dsn])
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def ask(self, source: str) -> str:
        """Run a script with the platform as `p`."""
        script = self.folder / "ask.py"
        opened = "p = ixmp4.Platform(DirectTransport.from_dsn(sys.argv[1]))\n"
        imports = "import sys, ixmp4\nfrom ixmp4.transport import DirectTransport\n"
        script.write_text(imports + opened + source)
        done = self.ixmp4.run([script, self.dsn])
        assert done.returncode == 0, done.stderr
        return done.stdout


def values(data: Mapping[str, list[Any]], *columns: str) -> dict[Any, tuple[float, float]]:
    """Give level and marginal of a platform's item by its elements."""
    keys = zip(*(data[column] for column in columns), strict=True)
    pairs = zip(data["levels"], data["marginals"], strict=True)
    return {key if len(key) > 1 else key[0]: pair for key, pair in zip(keys, pairs, strict=True)}
