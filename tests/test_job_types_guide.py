"""docs/job-types.md: what it tells to write and to type does what it says."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runner import layout
from tests.conftest import ROOT

GUIDE = (ROOT / "docs" / "job-types.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+) title=(\S+)( append)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TABLE = "region,value\nWorld,1\nWorld,2\nAsia,3\nAsia,5\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The job type of the guide, with its stage in R."""
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed (Debian package r-base-core)")
    source = tmp_path / "my-types"
    layout.new_type("statistics", source)
    for kind, name, append, text in BLOCK.findall(GUIDE):
        path = source / name
        if kind == "diff":
            path.write_text(_patched(path.read_text(), text))
        else:
            path.write_text(f"{path.read_text()}\n\n{text}" if append else text)
    return source


def _patched(text: str, change: str) -> str:
    lines = [(line[:1], line[1:]) for line in change.splitlines()]
    before = "\n".join(line for mark, line in lines if mark != "+")
    after = "\n".join(line for mark, line in lines if mark != "-")
    assert text.count(before) == 1
    return text.replace(before, after)


def _jobrunner(home: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runner", *map(str, words), "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True)


def _run(source: Path, *options: str) -> dict[str, Any]:
    home, table = source.parent / "home", source.parent / "table.csv"
    table.write_text(TABLE)
    if not home.exists():
        profiles = home / "config" / "profiles"
        profiles.mkdir(parents=True)
        (profiles / "bare.yaml").write_text("platform: {embedded: p.db}\nenvironments: none\n")
        done = _jobrunner(home, "publish", source, "--as", "trial-1")
        assert done.returncode == 0, done.stderr
    words = ["run", "statistics", "--input", f"table={table}", "--profile", "bare", "--json"]
    document: dict[str, Any] = json.loads(_jobrunner(home, *words, *options).stdout)
    return document


def test_the_guide_has_the_files_that_it_talks_of() -> None:
    names = {name for _, name, _, _ in BLOCK.findall(GUIDE)}
    assert names == {
        "workflow/statistics/scripts/statistics_spread.R",
        "envs/r.yaml",
        "workflow/statistics/Snakefile",
        "workflow/statistics/jobtype.yaml",
    }


def test_the_job_type_of_the_guide_is_well_formed(source: Path) -> None:
    command = [sys.executable, "-m", "runner", "types", "--check", str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_its_stage_in_r_runs_with_the_others(source: Path) -> None:
    done = _run(source)
    assert done["status"] == "succeeded", done["error"]
    assert [stage["name"] for stage in done["stages"]] == ["count", "spread", "summarize"]
    with Path(done["directory"], "results", "spread.csv").open(newline="") as stream:
        rows = {row["region"]: row for row in csv.DictReader(stream)}
    assert float(rows["World"]["mean"]) == 1.5
    assert float(rows["Asia"]["sd"]) == pytest.approx(2**0.5)


def test_what_the_r_script_says_is_the_error_of_the_job(source: Path) -> None:
    table = source.parent / "no-values.csv"
    table.write_text("region,number\nWorld,1\n")
    done = _run(source)
    home = source.parent / "home"
    words = ["run", "statistics", "--input", f"table={table}", "--profile", "bare", "--json"]
    failed = json.loads(_jobrunner(home, *words).stdout)
    assert done["status"] == "succeeded"
    assert failed["error"]["stage"] == "spread"
    assert "The table has no column 'value'. It has: region, number." in failed["error"]["message"]
