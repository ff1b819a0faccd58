"""Jobs of type import_meta for tests: platforms with scenarios on them, and the stages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import meta_read
import polars as pl
from stagekit.problems import StageError

from tests.workflow.warm import Warm

SCRIPTS = Path(__file__).parents[2] / "workflow" / "import_meta" / "scripts"
HAD = {"Category": "C1", "n": 1, "x": 0.5, "ok": True}  # indicators of A / one
SEED = """
import sys
import ixmp4
from ixmp4.transport import DirectTransport
p = ixmp4.Platform(DirectTransport.from_dsn(sys.argv[1]))
def run(model, scenario, default, **meta):
    made = p.runs.create(model, scenario)
    with made.transact("seed"):
        made.meta = meta
    if default:
        made.set_as_default()
run("A", "one", True, Category="C1", n=1, x=0.5, ok=True)
run("A", "one", False, Category="old")
run("A", "two", False)
run("A", "two", True, Category="C2")
run("A", "undecided", False)
run("B", "one", True)
"""
# by ixmp4's own API, with the types that Python has for the values
READ_BACK = """
import json, sys
import ixmp4
from ixmp4.transport import DirectTransport
p = ixmp4.Platform(DirectTransport.from_dsn(sys.argv[1]))
plain = lambda v: v.item() if hasattr(v, "item") else v
print(json.dumps({
    f"{r.model.name} / {r.scenario.name} / {r.version}": {k: plain(v) for k, v in r.meta.items()}
    for r in p.runs.list(default_only=False)
}))
"""


class MetaJob:
    """The files of a job, and its stages in the interpreter that waits with ixmp4."""

    def __init__(self, folder: Path, python: Warm, dsn: str, name: str = "job-1") -> None:
        self.folder, self.python, self.dsn, self.name = folder, python, dsn, name
        self.work, self.results = folder / "work", folder / "results"
        self.embedded: Path | None = None

    def read(self, file: Path, *options: str) -> MetaJob:
        """Run stage read in process."""
        table = f"--problems={self.results}"
        meta_read.main(meta_read.parse([f"--input={file}", table, *self.inputs, *options]))
        return self

    def records(self, *records: dict[str, Any], mode: str = "merge") -> MetaJob:
        """Read records as JSON: the shortest way to a table."""
        file = self.folder / "meta.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(records))
        return self.read(file, f"--mode={mode}")

    @property
    def inputs(self) -> list[str]:
        """Give the options that name what stage read writes."""
        return [f"--rows={self.work}/rows.parquet", f"--values={self.work}/values.parquet",
                f"--source={self.work}/source.json"]  # fmt: skip

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """Give model, scenario and version of each row."""
        return pl.read_parquet(self.work / "rows.parquet").drop("row").rows()

    @property
    def values(self) -> dict[tuple[int, str], Any]:
        """Give the value of each cell, by row and name."""
        found = {}
        for row, key, *kinds in pl.read_parquet(self.work / "values.parquet").rows():
            [found[row, key]] = [value for value in kinds if value is not None]
        return found

    @property
    def source(self) -> Any:
        """Give the description of the table."""
        return json.loads((self.work / "source.json").read_text())

    def command(self, stage: str, *more: str) -> list[str]:
        """Give the command line of check or store."""
        made = [str(SCRIPTS / f"meta_{stage}.py"), *self.inputs, *more]
        if self.embedded:
            made.append(f"--embedded={self.embedded}")
        made.append(f"--error={self.folder}/error.json")
        if stage == "check":
            return [*made, f"--output={self.work}/diff.json", f"--results={self.results}"]
        return [*made, f"--diff={self.work}/diff.json", f"--output={self.results}/stored.json",
                f"--job={self.name}"]  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """Give the environment with the platform's address."""
        return {**os.environ, **({"JOBRUNNER_PLATFORM_DSN": self.dsn} if self.dsn else {})}

    def check(self, mode: str = "merge", *more: str) -> subprocess.CompletedProcess[str]:
        """Run stage check."""
        return self.python.run(self.command("check", f"--mode={mode}", *more), self.environment)

    def store(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Run stage store."""
        return self.python.run(self.command("store", *more), self.environment)

    def both(self, mode: str = "merge") -> MetaJob:
        """Run check and store, which must succeed."""
        for done in (self.check(mode), self.store()):
            assert done.returncode == 0, done.stdout + done.stderr
        return self

    @property
    def diff(self) -> Any:
        """Give ``diff.json`` as a person gets it."""
        return json.loads((self.results / "diff.json").read_text())

    @property
    def changes(self) -> list[tuple[Any, ...]]:
        """Give what would change: scenario, name, change, before, after."""
        return [
            (f"{e['model']} / {e['scenario']} / {e['version']}", e["key"], e["change"], e["from"],
             e["to"])
            for e in self.diff["entries"] if e["change"] != "unchanged"
        ]  # fmt: skip

    @property
    def problems(self) -> list[dict[str, Any]]:
        """Give the problem table."""
        found: list[dict[str, Any]] = json.loads((self.results / "problems.json").read_text())
        return found

    @property
    def error(self) -> Any:
        """Give the error document."""
        return json.loads((self.folder / "error.json").read_text())

    @property
    def stored(self) -> Any:
        """Give ``stored.json``."""
        return json.loads((self.results / "stored.json").read_text())

    @property
    def platform(self) -> dict[str, dict[str, Any]]:
        """Give the indicators of each run, as ixmp4 reads them."""
        return script(self.python, self.folder, READ_BACK, self.dsn)


def script(python: Warm, folder: Path, code: str, *arguments: str) -> Any:
    """Run a few lines with ixmp4 and give the JSON that they print."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "script.py"
    file.write_text(code)
    done = python.run([file, *arguments])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None


def refused(file: Path, *options: str) -> StageError:
    """Run stage read on a file that it must refuse; see that nothing is left behind."""
    work = file.parent / "work"
    inputs = [f"--{name}={work / name}" for name in ("rows", "values", "source")]
    inputs.append(f"--problems={file.parent / 'results'}")
    try:
        meta_read.main(meta_read.parse([f"--input={file}", *inputs, *options]))
    except StageError as error:
        assert not list(work.iterdir()), "something was left behind"
        return error
    raise AssertionError(f"{file.name} was not refused")


def copy_of(platform: Path, folder: Path) -> str:
    """Copy an SQLite platform and give the address of the copy."""
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{shutil.copy(platform, folder / 'platform.db')}"
