"""Small processing repositories, and the stage PROCESS run on them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tests.workflow.submitting import run_read
from tests.workflow.warm import Warm

SCRIPT = Path(__file__).parents[2] / "workflow" / "import_timeseries" / "scripts" / "process.py"
KEYS = ["model", "scenario", "region", "variable", "unit"]

TEMPLATE = """
from pathlib import Path

import pyam
from nomenclature import DataStructureDefinition, RegionProcessor, process

here = Path(__file__).absolute().parent


def main(df: pyam.IamDataFrame) -> pyam.IamDataFrame:
    dsd = DataStructureDefinition(here / "definitions")
    processor = RegionProcessor.from_directory(path=here / "mappings", dsd=dsd)
    return process(df, dsd, processor=processor)
"""

FILES = {
    "workflow.py": TEMPLATE,
    "definitions/region/regions.yaml": "- common:\n  - World\n- m:\n  - m|Asia\n  - m|Europe\n",
    "definitions/variable/variables.yaml": (
        "- Primary Energy:\n    unit: EJ/yr\n"
        "- Primary Energy|Coal:\n    unit: EJ/yr\n"
        "- Price:\n    unit: [EUR, USD]\n    skip-region-aggregation: true\n"
        "- Share:\n    unit: ''\n    skip-region-aggregation: true\n"
    ),
    "mappings/m.yaml": (
        "model: m\nnative_regions:\n  - Asia: m|Asia\n  - Europe: m|Europe\n"
        "common_regions:\n  - World:\n    - Asia\n    - Europe\n"
    ),
}
PATHS = {
    "workflow": "workflow.py",
    "variables": "definitions/variable/variables.yaml",
    "mapping": "mappings/m.yaml",
    "config": "nomenclature.yaml",
}
ROWS = (
    ("m", "s", "Asia", "Primary Energy", "EJ/yr", 1.1, 2.2),
    ("m", "s", "Europe", "Primary Energy", "EJ/yr", 0.7, 0.1),
    ("m", "s", "Asia", "Price", "EUR", 3, None),
)


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    """Write a repository's files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


class Stage:
    """The stage PROCESS, run in the environment of a processing repository."""

    def __init__(self, folder: Path, python: Path | Warm) -> None:
        self.folder, self.python = folder, python
        self.checkout: Path | None = None

    def repository(self, **changed: str) -> Stage:
        """Make a checkout from `FILES`, with other texts for some: ``workflow`` is workflow.py."""
        files = {**FILES}
        for name, text in changed.items():
            files[PATHS[name]] = text
        self.checkout = write_files(self.folder / "checkout", files)
        return self

    def run(
        self, workbook: Path, *options: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Read a workbook and process it."""
        self.read = run_read(workbook, work=self.folder / "work")
        work, results = self.folder / "work", self.folder / "results"
        checkout: Sequence[str] = ()
        if self.checkout is not None:
            checkout = (f"--checkout={self.checkout}", "--repository=https://example.org/x.git",
                        "--commit=0123abcd")  # fmt: skip
        command = [
            SCRIPT, f"--input={work}/data.parquet", f"--meta={work}/meta.parquet",
            f"--source={work}/source.json", f"--output={results}/processed.parquet",
            f"--processed-meta={results}/processed_meta.parquet", f"--problems={results}",
            f"--scratch={work}/processing", f"--error={self.folder}/error.json",
            *checkout, *options,
        ]  # fmt: skip
        environment = {**os.environ, **(env or {})}
        if isinstance(self.python, Warm):
            return self.python.run(command, environment)
        return subprocess.run(
            [self.python, *command], env=environment, capture_output=True, text=True
        )

    @property
    def data(self) -> pl.DataFrame:
        """Give the processed data."""
        return pl.read_parquet(self.folder / "results" / "processed.parquet")

    @property
    def meta(self) -> list[dict[str, Any]]:
        """Give the processed meta indicators."""
        return pl.read_parquet(self.folder / "results" / "processed_meta.parquet").to_dicts()

    @property
    def problems(self) -> list[tuple[Any, ...]]:
        """Give what was found: code, value, rows and column."""
        found = json.loads((self.folder / "results" / "problems.json").read_text())
        return sorted((p["code"], p["value"], p["rows"], p["column"]) for p in found)

    @property
    def error(self) -> Any:
        """Give the error document."""
        return json.loads((self.folder / "error.json").read_text())

    def fails(self, workbook: Path, *options: str) -> Any:
        """Run, expect a failure that leaves no output, and give the error document."""
        done = self.run(workbook, *options)
        assert done.returncode == 1, done.stdout + done.stderr
        assert not (self.folder / "results" / "processed.parquet").exists()
        assert self.error["message"] in done.stderr
        return self.error
