"""A whole job whose stages run in environment modules gives what it gives in built environments."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.conftest import ROOT

EXAMPLES = ROOT / "examples"
PROFILE = "platform: {{embedded: platforms/{name}.db, create_names: true}}\n{environments}\n"


def _jobrunner(*arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "runner", *arguments, "--json"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def _imported(directory: Path) -> list[dict[str, Any]]:
    document = json.loads((directory / "results" / "import.json").read_text())
    kept = ("model", "scenario", "version")
    return [{key: run.get(key) for key in kept} for run in document["runs"]]


def test_an_import_gives_the_same_by_modules_as_by_built_environments(tmp_path: Path) -> None:
    if not Path("/usr/share/modules/init/bash").is_file():
        pytest.skip("Debian's environment-modules is not installed")
    home, folder = tmp_path / "home", tmp_path / "modulefiles"
    profiles = home / "config" / "profiles"
    profiles.mkdir(parents=True)
    used = {
        "built": "environments: uv",
        "modules": f"environments: modules\nmodules: {{use: {folder}}}",
    }
    for name, environments in used.items():
        text = PROFILE.format(name=name, environments=environments)
        (profiles / f"{name}.yaml").write_text(text)
    _jobrunner("modules", str(folder), "--home", str(home))
    options = ["--input", f"workbook={EXAMPLES / 'example-workbook.xlsx'}", "--home", str(home)]
    # the processing repository's own environment, which is no module, is built in both
    options += ["--processing", str(EXAMPLES / "project-workflow")]
    found = {
        name: Path(_jobrunner("run", "import_timeseries", "--profile", name, *options)["directory"])
        for name in used
    }
    tables = [pl.read_parquet(f / "results" / "processed.parquet") for f in found.values()]
    assert_frame_equal(*tables)
    assert tables[0].height > 0
    assert _imported(found["built"]) == _imported(found["modules"]) != []
    log = (found["modules"] / "logs" / "job.log").read_text()
    loaded = [line.split()[-1] for line in log.splitlines() if "Activating environment mod" in line]
    assert {name.split("/")[1] for name in loaded} == {"polars", "ixmp4", "report"}
    assert log.count("Activating conda environment") == 1  # the stage process
