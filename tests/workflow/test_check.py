"""All problems of the data in one go, each with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .submitting import (
    HEADER,
    Read,
    check_error,
    codes,
    data_csv,
    data_xlsx,
    run_check,
    run_read,
    xlsx,
)

LONG = ("model", "scenario", "region", "variable", "unit", "year", "value")


def wide(tmp_path: Path, *rows: Any, header: Any = HEADER) -> Read:
    return run_read(data_xlsx(tmp_path / "x.xlsx", rows, header))


def only(problems: list[dict[str, Any]], code: str) -> dict[str, Any]:
    [problem] = [p for p in problems if p["code"] == code]
    return problem


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    header = [*HEADER, "Comment", None]
    rows = [
        ("m", "s", "r", "v", "u", 1, "x", None, None),
        ("m", "s", None, "v", "u", 1, 2, "see above", 5),
        ("m", "s", "r", "v", "u", 3, None, None, None),
    ]
    meta = [("Model", "Scenario", "version", "x"), ("m", "s", 1, "y" * 1024), ("m", "t", 2, "z")]
    file = xlsx(tmp_path / "x.xlsx", {"data": [header, *rows], "meta": meta})
    problems = run_check(run_read(file))
    assert codes(problems) == [
        "duplicate",
        "illegal_meta_key",
        "illegal_meta_value",
        "meta_without_data",
        "missing_name",
        "not_a_number",
        "unnamed_column",
        "wrong_column",
    ]
    assert {p["file"] for p in problems} == {"x.xlsx"}


def test_duplicates_name_both_rows_and_the_times(tmp_path: Path) -> None:
    rows = [
        ("m", "s", "r", "v", "u", 1, 2),
        ("m", "s", "q", "v", "u", 1, 2),
        ("m", "s", "r", "v", "u", 1, None),
        ("m", "s", "q", "v", "u", 1, 2),
    ]
    first, second = run_check(wide(tmp_path, *rows))
    assert (first["rows"], first["field"], first["count"]) == ("2, 4", "2020", 1)
    assert (second["rows"], second["field"], second["count"]) == ("3, 5", "2020, 2030", 2)
    assert first["row"] == 2
    assert "m / s / r / v / u" in first["message"]


def test_rows_that_complete_each_other_are_no_duplicates(tmp_path: Path) -> None:
    rows = [("m", "s", "r", "v", "u", 1, None), ("m", "s", "r", "v", "u", None, 2)]
    assert run_check(wide(tmp_path, *rows)) == []


def test_units_that_are_stored_alike_make_duplicates_unless_processing_comes_first(
    tmp_path: Path,
) -> None:
    rows = [("m", "s", "r", "v", "dimensionless", 1), ("m", "s", "r", "v", "", 2)]
    done = run_read(data_csv(tmp_path / "x.csv", rows))
    assert codes(run_check(done)) == ["duplicate"]
    assert run_check(done, f"--definitions={tmp_path}") == []


@pytest.mark.parametrize(
    ("value", "code", "hint"),
    [
        ("abc", "not_a_number", ""),
        ("1,5", "not_a_number", "point"),
        ("n/a", "not_a_number", "Leave the cell empty"),
        ("inf", "infinite_value", "finite"),
        ("-Infinity", "infinite_value", "finite"),
    ],
)
def test_cells_that_are_no_numbers_have_row_column_and_value(
    tmp_path: Path, value: str, code: str, hint: str
) -> None:
    [problem] = run_check(wide(tmp_path, ("m", "s", "r", "v", "u", 1, value)))
    assert (problem["code"], problem["value"]) == (code, value)
    place = (problem["sheet"], problem["row"], problem["column"], problem["field"])
    assert place == ("data", 2, "G", "2030")
    assert hint in problem["message"]


def test_equal_cells_of_a_column_are_one_problem_with_all_rows(tmp_path: Path) -> None:
    rows = [("m", "s", f"r{i}", "v", "u", "NA" if i != 3 else 1) for i in range(6)]
    [problem] = run_check(wide(tmp_path, *rows))
    assert (problem["row"], problem["rows"], problem["count"]) == (2, "2-4, 6-7", 5)


def test_the_long_layout_needs_year_and_value_in_each_row(tmp_path: Path) -> None:
    rows = [
        ("m", "s", "r", "v", "u", 2020, None),
        ("m", "s", "r", "v", "u", None, 1),
        ("m", "s", "r", "v", "u", "20x", 1),
        ("m", "s", "r", "v", "u", 2020.5, 1),
        (None,) * 7,
        ("m", "s", "r", "v", "u", 2030, 1),
    ]
    problems = run_check(wide(tmp_path, *rows, header=LONG))
    found = {(p["code"], p["row"], p["column"], p["value"]) for p in problems}
    assert found == {
        ("missing_value", 2, "G", None),
        ("missing_value", 3, "F", None),
        ("invalid_year", 4, "F", "20x"),
        ("invalid_year", 5, "F", "2020.5"),
    }


def test_times_with_and_without_a_zone_do_not_mix(tmp_path: Path) -> None:
    rows = [
        ("m", "s", "r", "v", "u", "2030-01-01 00:00", 1),
        ("m", "s", "r", "v", "u", "2030-01-01T00:00+01:00", 1),
    ]
    [problem] = run_check(wide(tmp_path, *rows, header=(*LONG[:5], "time", "value")))
    assert (problem["code"], problem["row"]) == ("invalid_time", 3)


def test_a_name_missing_beside_values_is_reported_and_blank_rows_are_not(tmp_path: Path) -> None:
    rows = [
        ("m", " ", "r", "v", "u", 1),
        (None,) * 6,
        ("only a note",),
        ("m", "s", "r", "v", "u", 1),
    ]
    problem = only(run_check(wide(tmp_path, *rows)), "missing_name")
    assert (problem["field"], problem["column"], problem["rows"]) == ("scenario", "B", "2")


def test_names_too_long_to_be_stored_are_reported_unless_processing_comes_first(
    tmp_path: Path,
) -> None:
    done = wide(tmp_path, ("m", "s", "r", "v" * 256, "u", 1))
    problem = only(run_check(done), "name_too_long")
    assert (problem["field"], problem["row"]) == ("variable", 2)
    assert run_check(done, f"--definitions={tmp_path}") == []


def meta_problems(tmp_path: Path, *meta: Any) -> list[dict[str, Any]]:
    data = [HEADER, ("m", "s", "r", "v", "u", 1)]
    return run_check(run_read(xlsx(tmp_path / "x.xlsx", {"data": data, "meta": meta})))


@pytest.mark.parametrize("key", ["id", "version", "is_default", "Version", "k" * 1024])
def test_meta_keys_that_ixmp4_refuses_are_reported(tmp_path: Path, key: str) -> None:
    [problem] = meta_problems(tmp_path, ("Model", "Scenario", key), ("m", "s", 1))
    assert problem["code"] == "illegal_meta_key"
    assert (problem["sheet"], problem["column"], problem["value"]) == ("meta", "C", key)


def test_meta_rows_are_checked(tmp_path: Path) -> None:
    problems = meta_problems(
        tmp_path,
        ("Model", "Scenario", "x", None, "x", "y"),
        ("m", "s", 1, None, 2, 1),
        ("m", "s", 1, "?", 2, 1),
        (None, "s", 1, None, 2, 1),
        ("m", "other", 1, None, 2, 1),
    )
    found = {(p["code"], p["severity"], p["rows"] or p["column"]) for p in problems}
    assert found == {
        ("doubled_meta_column", "error", "E"),
        ("unnamed_meta_column", "error", "D"),
        ("duplicate_meta", "error", "2-3"),
        ("missing_name", "error", "4"),
        ("meta_without_data", "warning", "5"),
    }


def test_the_message_lists_some_and_the_files_have_all(tmp_path: Path) -> None:
    rows = [("m", "s", f"r{i}", "v", "u", f"bad {i}") for i in range(30)]
    done = wide(tmp_path, *rows)
    error = check_error(done, "--listed=4")
    assert error.code == "invalid_data"
    assert error.message.startswith("30 problems in sheet 'data' of x.xlsx (30 not_a_number):")
    assert error.message.count("is no number") == 4
    assert "row 2, column F" in error.message
    assert "and 26 more" in error.message
    recorded = json.loads((done.folder / "results" / "problems.json").read_text())
    assert len(recorded) == len(error.problems) == 30
    assert (done.folder / "results" / "problems.csv").read_text().count("\n") == 31


def test_a_passed_check_says_how_much_there_is(tmp_path: Path) -> None:
    done = wide(tmp_path, ("m", "s", "r", "v", "u", 1, 2), ("m", "t", "r", "v", "u", 1))
    assert run_check(done) == []
    checked = json.loads((done.folder / "checked.json").read_text())
    assert (checked["datapoints"], checked["scenarios"], checked["warnings"]) == (3, 2, 0)


def test_a_check_that_fails_removes_what_an_earlier_one_passed(tmp_path: Path) -> None:
    done = wide(tmp_path, ("m", "s", "r", "v", "u", 1))
    run_check(done)
    run_read(data_xlsx(tmp_path / "x.xlsx", [("m", "s", "r", "v", "u", "x")]))
    assert codes(run_check(done)) == ["not_a_number"]
