"""The real public files, imported as a user would: the whole job through the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Job = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Run ``jobrunner run import_timeseries`` in a home of its own; give exit code and document."""

    def run(workbook: Path, *options: str, env: dict[str, str] | None = None) -> tuple[int, Any]:
        command = [sys.executable, "-m", "runner", "run", "import_timeseries", "--json"]
        command += ["--home", str(tmp_path / "home"), "--input", f"workbook={workbook}", *options]
        environment = {**os.environ, **(env or {})}
        answer = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert answer.returncode in (0, 1, 2), answer.stderr
        return answer.returncode, json.loads(answer.stdout)

    return run


def _imported(document: dict[str, Any]) -> dict[str, Any]:
    assert document["status"] == "succeeded", document["error"]
    path = Path(document["directory"]) / "results" / "import.json"
    return dict(json.loads(path.read_text()))


@pytest.mark.parametrize(
    ("name", "datapoints", "runs", "meta"),
    [
        ("pyam_tutorial_data.csv", 9940, 38, set()),
        ("pyam_subannual_time.csv", 8, 1, set()),
        ("pyam_exclude_meta_sheet.xlsx", 6, 2, {"exclude"}),
        ("pyam_na_column.xlsx", 6, 2, set()),
        ("pyam_test_df.xlsx", 6, 2, {"number", "string"}),
        ("ca_infilled.csv", 66908, None, set()),
    ],
)
def test_a_real_file_is_stored_whole(
    job: Job, shared_data: Path, name: str, datapoints: int, runs: int | None, meta: set[str]
) -> None:
    code, document = job(shared_data / name)
    imported = _imported(document)
    assert code == 0
    assert imported["datapoints"] == sum(r["datapoints"] for r in imported["runs"]) == datapoints
    assert runs is None or len(imported["runs"]) == runs
    assert {key for run in imported["runs"] for key in run["meta"]} == meta
    assert set(document["results"]) == {"report", "summary", "problems", "import"}


def test_a_template_without_values_is_an_error_and_no_success(job: Job, shared_data: Path) -> None:
    code, document = job(shared_data / "ariadne_template_2025-08-11.xlsx")
    assert (code, document["status"]) == (1, "failed")
    assert document["error"]["code"] == "no_data"
    assert not (Path(document["directory"]) / "results" / "import.json").exists()


def test_a_doubled_column_is_named_with_its_letter(job: Job, shared_data: Path) -> None:
    code, document = job(shared_data / "oe_GENeSYS-MOD-pathways_v1.0.xlsx")
    assert (code, document["status"]) == (1, "failed")
    assert "Variable" in document["error"]["message"]
    assert "P" in {problem["column"] for problem in document["error"]["problems"]}
    assert not (Path(document["directory"]) / "results" / "import.json").exists()
