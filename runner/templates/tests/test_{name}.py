"""The job type {name}, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[1]
CASE = SOURCE / "workflow" / "{name}" / ".test" / "small"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    jobrunner("publish", SOURCE, "--as", "under-test", "--home", tmp_path / "home")
    return tmp_path / "home"


def jobrunner(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runner", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def run(home: Path, table: Path, *options: str) -> dict[str, Any]:
    answer = jobrunner(
        "run", "{name}", "--input", f"table={table}", "--json", "--home", home, *options
    )
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def test_the_job_type_is_well_formed() -> None:
    answer = jobrunner("types", "--check", SOURCE / "workflow" / "{name}")
    assert answer.returncode == 0, answer.stdout


def test_it_counts_the_values_of_a_column(home: Path) -> None:
    done = run(home, CASE / "input" / "table.csv")
    assert done["status"] == "succeeded", done["error"]
    counts = Path(done["directory"], done["results"]["counts"]["path"]).read_text()
    assert counts.splitlines() == ["region,rows", "World,2", "Asia,1"]


def test_a_column_that_is_not_there_is_named_with_those_that_are(home: Path) -> None:
    done = run(home, CASE / "input" / "table.csv", "--param", "column=regoin")
    assert done["error"]["code"] == "no_column"
    assert "Did you mean 'region'?" in done["error"]["message"]
