"""Every real file behaves as its row in SOURCES.md says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .submitting import refused, run_check, run_read


@pytest.mark.parametrize(
    ("name", "datapoints", "pairs"),
    [
        ("pyam_tutorial_data.csv", 9940, 38),
        ("pyam_subannual_time.csv", 8, 1),
        ("pyam_exclude_meta_sheet.xlsx", 6, 2),
        ("pyam_na_column.xlsx", 6, 2),
        ("pyam_test_df.xlsx", 6, 2),
        ("ca_infilled.csv", 66908, None),
    ],
)
def test_real_files_are_read_whole_and_pass_the_check(
    shared_data: Path, tmp_path: Path, name: str, datapoints: int, pairs: int | None
) -> None:
    done = run_read(shared_data / name, work=tmp_path / "work")
    assert done.source["datapoints"] == done.data.height == datapoints
    assert done.cells.is_empty()
    if pairs is not None:
        assert done.data.select("model", "scenario").unique().height == pairs
    run_check(done)
    assert (tmp_path / "work" / "checked.json").exists()


def test_subannual_is_a_column_of_its_own(shared_data: Path, tmp_path: Path) -> None:
    done = run_read(shared_data / "pyam_subannual_time.csv", work=tmp_path)
    assert done.source["time"] == "subannual"
    assert done.data.columns[5:] == ["subannual", "year", "value", "row"]
    assert set(done.data["subannual"]) == {"summer", "winter"}


def test_exclude_is_kept_as_a_boolean_indicator(shared_data: Path, tmp_path: Path) -> None:
    done = run_read(shared_data / "pyam_exclude_meta_sheet.xlsx", work=tmp_path)
    assert done.meta.rows() == [("model_a", "scen_a", True), ("model_a", "scen_b", False)]


def test_indicators_keep_their_types(shared_data: Path, tmp_path: Path) -> None:
    done = run_read(shared_data / "pyam_test_df.xlsx", work=tmp_path)
    assert done.source["sheet"] == "custom data sheet name"
    assert done.meta.rows() == [("model_a", "scen_a", 1, "foo"), ("model_a", "scen_b", 2, None)]


def test_a_blank_unnamed_column_is_ignored_with_a_warning(
    shared_data: Path, tmp_path: Path
) -> None:
    done = run_read(shared_data / "pyam_na_column.xlsx", work=tmp_path)
    [problem] = run_check(done)
    assert problem["code"] == "blank_column"
    assert (problem["severity"], problem["column"]) == ("warning", "H")


def test_a_template_without_values_is_an_error(shared_data: Path, tmp_path: Path) -> None:
    file = shutil.copy(shared_data / "ariadne_template_2025-08-11.xlsx", tmp_path / "a.xlsx")
    assert refused(Path(file)).code == "no_data"


def test_the_doubled_variable_column_is_named_with_its_letter(
    shared_data: Path, tmp_path: Path
) -> None:
    file = shutil.copy(shared_data / "oe_GENeSYS-MOD-pathways_v1.0.xlsx", tmp_path / "g.xlsx")
    error = refused(Path(file))
    assert error.code == "doubled_columns"
    assert "'Variable'" in error.message
    assert "D and P" in error.message
    [problem] = error.problems
    assert (problem.column, problem.row, problem.sheet) == ("P", 1, "data")
