"""PROCESS gives what the processing repository's own code gives, and says all that it refuses."""

from __future__ import annotations

import datetime as dt
import stat
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.workflow.processing import FILES, KEYS, ROWS, TEMPLATE, Stage, write_files
from tests.workflow.submitting import HEADER, data_xlsx, xlsx
from tests.workflow.warm import Warm

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def python(example_processing_env: Path) -> Path:
    """Give the interpreter of the example repository's environment."""
    return example_processing_env / "bin" / "python"


@pytest.fixture
def stage(tmp_path: Path, processing_warm: Warm) -> Stage:
    """Give the stage on a repository of the usual form."""
    return Stage(tmp_path, processing_warm).repository()


def run_workflow(python: Path, workbook: Path, checkout: Path, output: Path) -> Path:
    """Run ``nomenclature run-workflow`` as its users do."""
    subprocess.run(
        [python.with_name("nomenclature"), "run-workflow", workbook, "--workflow-file",
         checkout / "workflow.py", "--workflow-function", "main", "--output-file", output],
        check=True, capture_output=True, cwd=checkout,
    )  # fmt: skip
    return output


def long(path: Path) -> pl.DataFrame:
    """Read the data sheet that pyam wrote, as our tidy table."""
    wide = pl.read_excel(path, sheet_name="data")
    index = [*KEYS, *(["subannual"] if "Subannual" in wide.columns else [])]
    wide = wide.rename({name: name.lower() for name in wide.columns})
    table = wide.unpivot(index=index, variable_name="year").drop_nulls("value")
    return table.with_columns(pl.col("year").cast(pl.Int64), pl.col("value").cast(pl.Float64))


def assert_equal(ours: pl.DataFrame, theirs: pl.DataFrame) -> None:
    """Compare tables value by value; a workbook keeps 16 digits."""
    keys = [name for name in ours.columns if name != "value"]
    assert sorted(keys) == sorted(name for name in theirs.columns if name != "value")
    joined = ours.join(theirs, on=keys, how="full", coalesce=True)
    assert len(ours) == len(theirs) == len(joined)
    off = (pl.col("value") - pl.col("value_right")).abs() > 1e-14 * pl.col("value").abs()
    assert joined.filter(
        off | pl.col("value").is_null() | pl.col("value_right").is_null()
    ).is_empty()


def test_the_example_gives_what_run_workflow_gives(tmp_path: Path, python: Path) -> None:
    stage = Stage(tmp_path, python)
    stage.checkout = EXAMPLES / "project-workflow"
    workbook = EXAMPLES / "example-workbook.xlsx"
    done = stage.run(workbook)
    assert done.returncode == 0, done.stderr
    theirs = run_workflow(python, workbook, stage.checkout, tmp_path / "theirs.xlsx")
    assert_equal(stage.data, long(theirs))
    meta = pl.read_excel(theirs, sheet_name="meta").rename(
        {"Model": "model", "Scenario": "scenario"}
    )
    names = [name for name in meta.columns if name != "exclude"]
    assert len(names) > 2
    for one, other in zip(stage.meta, meta.sort("model", "scenario").to_dicts(), strict=True):
        assert {name: one[name] for name in names} == {name: other[name] for name in names}


def test_a_sheet_with_subannual_data_gives_what_run_workflow_gives(
    stage: Stage, python: Path, tmp_path: Path
) -> None:
    rows = [(*row[:5], season, *row[5:]) for row in ROWS[:2] for season in ("Summer", "Winter")]
    workbook = data_xlsx(tmp_path / "r.xlsx", rows, (*HEADER[:5], "Subannual", *HEADER[5:]))
    assert stage.checkout is not None
    seasons = "- Summer\n- Winter\n"
    write_files(stage.checkout, {"definitions/subannual/seasons.yaml": seasons})
    done = stage.run(workbook)
    assert done.returncode == 0, done.stderr
    theirs = run_workflow(python, workbook, stage.checkout, tmp_path / "theirs.xlsx")
    assert_equal(stage.data, long(theirs))
    assert set(stage.data["region"]) == {"World", "m|Asia", "m|Europe"}


def test_exclude_and_meta_indicators_come_through_with_their_types(
    stage: Stage, tmp_path: Path
) -> None:
    other = [(row[0], "t", *row[2:]) for row in ROWS]
    meta = [("Model", "Scenario", "n", "x", "text", "exclude"),
            ("m", "s", 3, 0.1, "a", True), ("m", "t", None, None, "b", False)]  # fmt: skip
    workbook = xlsx(tmp_path / "r.xlsx", {"data": [HEADER, *ROWS, *other], "meta": meta})
    done = stage.run(workbook)
    assert done.returncode == 0, done.stderr
    assert stage.meta == [
        {"model": "m", "scenario": "s", "n": 3, "x": 0.1, "text": "a", "exclude": True},
        {"model": "m", "scenario": "t", "n": None, "x": None, "text": "b", "exclude": False},
    ]
    assert [type(value) for value in stage.meta[0].values()] == [str, str, int, float, str, bool]


def test_dates_stay_dates(stage: Stage, tmp_path: Path) -> None:
    stage.repository(workflow="def main(df):\n    return df\n")
    header = (*HEADER[:5], dt.datetime(2020, 1, 1, 0, 0), dt.datetime(2020, 1, 1, 1, 0))
    assert stage.run(data_xlsx(tmp_path / "r.xlsx", ROWS[:1], header)).returncode == 0
    assert stage.data.columns == [*KEYS, "time", "value"]
    assert stage.data["time"].to_list() == [dt.datetime(2020, 1, 1, h) for h in (0, 1)]


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_times_with_an_offset_give_what_run_workflow_gives(
    stage: Stage, python: Path, tmp_path: Path, layout: str
) -> None:
    """The subannual names that pyam makes of times tell the offset that the file has."""
    body = "def main(df):\n    return df.swap_time_for_year(subannual=True)\n"
    stage.repository(workflow=body)
    times = ("2020-01-01 00:00+01:00", "2020-01-01 01:00+01:00")
    workbook = tmp_path / "r.csv"
    lines = [",".join((*HEADER[:5], *times)), *(",".join(map(str, row[:7])) for row in ROWS[:2])]
    if layout == "long":
        lines = [",".join((*HEADER[:5], "time", "value"))]
        lines += [
            ",".join((*row[:5], time, str(value)))
            for row in ROWS[:2]
            for time, value in zip(times, row[5:], strict=True)
        ]
    workbook.write_text("\n".join(lines) + "\n")
    done = stage.run(workbook)
    assert done.returncode == 0, done.stderr
    assert stage.checkout is not None
    theirs = run_workflow(python, workbook, stage.checkout, tmp_path / "theirs.xlsx")
    assert_equal(stage.data, long(theirs))
    assert set(stage.data["subannual"]) == {"01-01 00:00+0100", "01-01 01:00+0100"}


def test_everything_refused_is_named_at_once_with_its_rows(stage: Stage, tmp_path: Path) -> None:
    rows = [
        *ROWS,
        ("m", "s", "Aisa", "Primary Energy", "EJ/yr", 1, 2),  # row 5
        ("m", "s", "Asia", "Primary Enrgy", "EJ/yr", 1, 2),
        ("m", "s", "Europe", "Primary Enrgy", "EJ/yr", 1, 2),
        ("m", "s", "Asia", "Primary Energy|Coal", "GJ", 1, 2),
        ("new model", "s", "Atlantis", "Primary Energy", "EJ/yr", 1, 2),  # has no mapping
    ]
    error = stage.fails(data_xlsx(tmp_path / "r.xlsx", rows))
    assert error["code"] == "data_refused"
    assert stage.problems == [
        ("unknown_region", "Aisa", "5", "C"),
        ("unknown_region", "Atlantis", "9", "C"),
        ("unknown_variable", "Primary Enrgy", "6-7", "D"),
        ("wrong_unit", "GJ", "8", "E"),
    ]
    assert "Did you mean 'Asia'?" in error["message"]
    assert "'EJ/yr' is expected" in error["message"]
    assert {problem["sheet"] for problem in error["problems"]} == {"data"}


def test_names_that_the_repository_renames_are_no_problem(stage: Stage, tmp_path: Path) -> None:
    renaming = TEMPLATE.replace(
        "    dsd =", "    df = df.rename(variable={'PE': 'Primary Energy'})\n    dsd ="
    )
    stage.repository(workflow=renaming)
    rows = [(*row[:3], "PE", *row[4:]) for row in ROWS[:2]]
    done = stage.run(data_xlsx(tmp_path / "r.xlsx", rows))
    assert done.returncode == 0, done.stderr
    assert set(stage.data["variable"]) == {"Primary Energy"}


def test_a_name_that_the_repository_made_is_said_to_be_its_own(
    stage: Stage, tmp_path: Path
) -> None:
    renaming = TEMPLATE.replace(
        "    dsd =", "    df = df.rename(variable={'Price': 'Prize'})\n    dsd ="
    )
    error = stage.repository(workflow=renaming).fails(data_xlsx(tmp_path / "r.xlsx", ROWS))
    assert stage.problems == [("unknown_variable", "Prize", None, None)]
    assert "workflow.py made it" in error["message"]


def test_values_that_a_validation_refuses_are_found_in_the_sheet(
    stage: Stage, tmp_path: Path
) -> None:
    validating = (
        "from nomenclature import DataValidator\nfrom pathlib import Path\n"
        "def main(df):\n"
        "    return DataValidator.from_file(Path(__file__).parent / 'limits.yaml').apply(df)\n"
    )
    stage.repository(workflow=validating)
    assert stage.checkout is not None
    limits = "- variable: Primary Energy\n  upper_bound: 2\n"
    (stage.checkout / "limits.yaml").write_text(limits)
    error = stage.fails(data_xlsx(tmp_path / "r.xlsx", ROWS))
    assert error["code"] == "data_refused"
    assert stage.problems == [("data_validation", "2.2", "2", "G")]


def test_required_data_that_are_missing_are_told_in_nomenclatures_words(
    stage: Stage, tmp_path: Path
) -> None:
    requiring = (
        "from nomenclature import RequiredDataValidator\nfrom pathlib import Path\n"
        "def main(df):\n"
        "    file = Path(__file__).parent / 'must.yaml'\n"
        "    return RequiredDataValidator.from_file(file).apply(df)\n"
    )
    stage.repository(workflow=requiring)
    assert stage.checkout is not None
    must = "description: x\nrequired_data:\n  - variable: Final Energy\n    region: World\n"
    (stage.checkout / "must.yaml").write_text(must)
    error = stage.fails(data_xlsx(tmp_path / "r.xlsx", ROWS))
    assert (error["code"], [p[0] for p in stage.problems]) == ("data_refused", ["refused"])
    assert "Final Energy" in error["message"]


EXTRA = """
    import pyam
    data = df.data
    data["tier"] = "a"
    return pyam.IamDataFrame(data)
"""
BODIES = {
    "no module": ("    import private_module\n", "module_missing", "the module private_module"),
    "error": ("    x = {}\n    return x['k']\n", "repository_failed", "py:5): KeyError: 'k'"),
    "exit": ("    import sys\n    sys.exit(7)\n", "repository_exit", "exit code 7"),
    "nothing": ("    return None\n", "wrong_result", "returned nothing"),
    "table": ("    return df.data\n", "wrong_result", "DataFrame and not a pyam.IamDataFrame"),
    "empty": ("    return df.filter(region='None')\n", "empty_result", "no datapoints"),
    "extra": (EXTRA, "unknown_dimension", "tier"),
}


@pytest.mark.parametrize("case", BODIES)
def test_what_goes_wrong_in_the_entry_point_is_said_in_one_sentence(
    stage: Stage, tmp_path: Path, case: str
) -> None:
    body, code, message = BODIES[case]
    stage.repository(workflow=f"import logging\n\ndef main(df):\n{body}")
    error = stage.fails(data_xlsx(tmp_path / "r.xlsx", ROWS))
    assert error["code"] == code
    assert message in error["message"]


def test_an_entry_point_that_is_missing_names_those_that_exist(
    stage: Stage, tmp_path: Path
) -> None:
    stage.repository(workflow="def kopernikus(df):\n    return df\n\ndef _own():\n    pass\n")
    error = stage.fails(data_xlsx(tmp_path / "r.xlsx", ROWS))
    assert error["code"] == "entry_missing"
    assert "It has: kopernikus." in error["message"]


MESSY = """
import logging, os, sys
from pathlib import Path

def main(df):
    logging.getLogger().handlers.clear()
    logging.basicConfig(stream=sys.stdout, level="INFO", force=True)
    print("on stdout")
    logging.warning("on the root logger")
    here = Path(__file__).parent
    assert Path.cwd() == here, Path.cwd()
    assert (here / "marks").read_text() == "one", "not a fresh copy"
    (here / "marks").write_text("two")
    Path("left-behind.txt").write_text(os.environ["GIT_CONFIG_COUNT"])
    assert "JOBRUNNER_PLATFORM_DSN" not in os.environ
    return df
"""


def test_the_repository_may_write_clear_loggers_and_print(stage: Stage, tmp_path: Path) -> None:
    stage.repository(workflow=MESSY)
    assert stage.checkout is not None
    (stage.checkout / "marks").write_text("one")
    for path in [stage.checkout, *stage.checkout.rglob("*")]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    workbook = data_xlsx(tmp_path / "r.xlsx", ROWS)
    secret = {"JOBRUNNER_PLATFORM_DSN": "postgresql://u:secret@h/d", "GIT_CONFIG_COUNT": "0"}
    for _ in range(2):  # the second time on a fresh copy
        done = stage.run(workbook, env=secret)
        assert done.returncode == 0, done.stderr
        assert "on stdout" in done.stdout
        assert "on the root logger" in done.stdout
    assert (stage.checkout / "marks").read_text() == "one"
    assert not (stage.folder / "work" / "processing").exists()


def test_a_checkout_that_is_gone_is_cloned_at_its_commit(
    tmp_path: Path, processing_warm: Warm, git_repository: Any
) -> None:
    source = git_repository({**FILES, "workflow.py": "def main(df):\n    return df\n"})
    commit = subprocess.run(
        ["git", "-C", source, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    stage = Stage(tmp_path, processing_warm)
    stage.checkout = tmp_path / "gone"
    workbook = data_xlsx(tmp_path / "r.xlsx", ROWS)
    assert stage.run(workbook, f"--repository={source}", f"--commit={commit}").returncode == 0
    (tmp_path / "results" / "processed.parquet").unlink()
    missing = tmp_path / "nowhere"
    error = stage.fails(workbook, f"--repository=file://u:word@{missing}", "--commit=0")
    assert error["code"] == "repository_unavailable"
    assert "word" not in error["message"]


def test_dimensionless_is_stored_as_an_empty_unit_with_a_warning(
    stage: Stage, tmp_path: Path
) -> None:
    stage.repository(workflow="def main(df):\n    return df\n")
    rows = [("m", "s", "Asia", "Share", "dimensionless", 1, 2)]
    assert stage.run(data_xlsx(tmp_path / "r.xlsx", rows)).returncode == 0
    assert set(stage.data["unit"]) == {""}
    assert [problem[0] for problem in stage.problems] == ["dimensionless_unit"]


OLD = """
dependencies:
  - python >=3.11,<3.12
  - pip
  - pip:
      - nomenclature-iamc==0.8
      - numpy==1.23.5
      - pandas==1.5.3
      - pyam-iamc==1.7.0
      - pyarrow==11.0.0
      - pydantic==1.10.5
      - setuptools==65.7.0
"""


@pytest.fixture(scope="session")
def old_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an environment of early 2023: pandas 1.5, pyam 1.7, nomenclature 0.8."""
    from runner.environments import EnvironmentStore
    from runner.standin import pythons
    from tests.conftest import ENVIRONMENTS

    if not any(found.version.startswith("3.11.") for found in pythons.installed()):
        pytest.skip("packages of 2023 need a Python 3.11, and this machine has none")
    file = tmp_path_factory.mktemp("old") / "processing.yaml"
    file.write_text(OLD)
    return EnvironmentStore(ENVIRONMENTS).build(file, []) / "bin" / "python"


def test_versions_of_2023_process_and_refuse_the_same(tmp_path: Path, old_python: Path) -> None:
    of_its_day = TEMPLATE.replace(", dsd=dsd)", ")")
    stage = Stage(tmp_path, old_python).repository(workflow=of_its_day)
    meta = [("Model", "Scenario", "n", "exclude"), ("m", "s", 3, True)]
    good = xlsx(tmp_path / "good.xlsx", {"data": [HEADER, *ROWS], "meta": meta})
    done = stage.run(good)
    assert done.returncode == 0, done.stderr
    world = stage.data.filter(pl.col("region") == "World")["value"].to_list()
    assert world == [1.1 + 0.7, 2.2 + 0.1]
    assert stage.meta == [{"model": "m", "scenario": "s", "exclude": True}]
    assert [problem[0] for problem in stage.problems] == ["meta_dropped"]  # by that nomenclature
    (tmp_path / "results" / "processed.parquet").unlink()
    rows = [*ROWS, ("m", "s", "Aisa", "Primary Enrgy", "EJ/yr", 1, 2),
            ("m", "s", "Asia", "Primary Energy|Coal", "GJ", 1, 2)]  # fmt: skip
    stage.fails(data_xlsx(tmp_path / "bad.xlsx", rows))
    assert stage.problems == [
        ("unknown_region", "Aisa", "5", "C"),
        ("unknown_variable", "Primary Enrgy", "5", "D"),
        ("wrong_unit", "GJ", "6", "E"),
    ]
