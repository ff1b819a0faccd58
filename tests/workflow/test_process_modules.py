"""Processing modules run in order, as programs with an input and an output."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.workflow.processing import ROWS, Stage
from tests.workflow.submitting import HEADER, xlsx

MODULE = """
import argparse, pyam
parser = argparse.ArgumentParser()
for name in ("--input", "--output", "--factor"):
    parser.add_argument(name, default="2")
args = parser.parse_args()
data = pyam.IamDataFrame(args.input)
print("scaling", args.input)
frame = data.data
frame["value"] *= float(args.factor)
scaled = pyam.IamDataFrame(frame, meta=data.meta)
(scaled.to_csv if args.output.endswith("csv") else scaled.to_excel)(args.output)
"""
META = [("Model", "Scenario", "n", "exclude"), ("m", "s", 3, True)]


@pytest.fixture
def stage(tmp_path: Path, stage_env: Callable[[str], Path]) -> Stage:
    """Give the stage without a processing repository."""
    return Stage(tmp_path, stage_env("modules") / "bin" / "python")


def modules(*commands: dict[str, Any]) -> str:
    """Give the option."""
    return f"--modules={json.dumps(list(commands))}"


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    """Give a workbook with a meta sheet."""
    return xlsx(tmp_path / "r.xlsx", {"data": [HEADER, *ROWS], "meta": META})


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Give a module of our own."""
    path = tmp_path / "scale.py"
    path.write_text(MODULE)
    return path


def test_modules_run_in_order_without_a_repository(
    stage: Stage, workbook: Path, program: Path
) -> None:
    done = stage.run(
        workbook,
        modules(
            {"command": f"python {program}", "title": "Double"},
            {"command": f"python {program} --factor 10", "format": "csv"},
        ),
    )
    assert done.returncode == 0, done.stderr
    price = stage.data.filter(pl.col("variable") == "Price")
    assert price.select("year", "value").rows() == [(2020, 60.0)]
    assert "module 1: Double" in done.stdout
    assert done.stdout.count("scaling") == 2
    assert stage.meta == [{"model": "m", "scenario": "s", "n": 3, "exclude": True}]


def test_a_relative_program_is_one_of_the_repository(stage: Stage, workbook: Path) -> None:
    stage.repository(workflow="def main(df):\n    return df\n")
    assert stage.checkout is not None
    (stage.checkout / "tools").mkdir()
    (stage.checkout / "tools" / "scale.py").write_text(MODULE)
    done = stage.run(workbook, modules({"command": "python tools/scale.py"}))
    assert done.returncode == 0, done.stderr
    assert stage.data["value"].max() == 6.0


FAILING = {
    "exit code": ("python -c 'print(\"last words\"); exit(3)' --", ["exit code 3", "last words"]),
    "no output": ("true", ["without writing its output"]),
    "no program": ("nowhere-to-be-found", ["cannot be started", "nowhere-to-be-found"]),
    "no table": ("sh -c 'echo nonsense > $4' --", ["not in the IAMC format"]),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_module_that_fails_is_named_with_its_last_words(
    stage: Stage, workbook: Path, case: str
) -> None:
    command, words = FAILING[case]
    error = stage.fails(workbook, modules({"command": command, "title": "My module"}))
    assert error["code"] == "module_failed"
    assert [word for word in ["My module", *words] if word not in error["message"]] == []
