"""Files as people really write them: sheets, separators, encodings, archives, meta sheets."""

from __future__ import annotations

import codecs
import gzip
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from .submitting import (
    HEADER,
    ROWS,
    codes,
    csv_text,
    data_csv,
    data_xlsx,
    run_check,
    run_read,
    xlsx,
    zipped,
)

DATA = [HEADER, *ROWS]
VALUES = [1.5, 2.0, 0.5]
OTHER = [HEADER, ("m", "s", "r", "v", "u", 7)]


@pytest.mark.parametrize(
    ("sheets", "chosen"),
    [
        ({"notes": [["x"]], "Data": DATA}, "Data"),
        ({"results": OTHER, "DATA_2": DATA}, "DATA_2"),
        ({"data": [["about", "us"]], "data_new": DATA}, "data_new"),
        ({"notes": [["x"]], "results": DATA, "meta": [["Model", "Scenario"]]}, "results"),
    ],
)
def test_the_data_sheet_is_found(tmp_path: Path, sheets: dict[str, Any], chosen: str) -> None:
    done = run_read(xlsx(tmp_path / "x.xlsx", sheets))
    assert done.source["sheet"] == chosen
    assert done.values == VALUES


def test_the_sheet_that_was_asked_for_is_read(tmp_path: Path) -> None:
    file = xlsx(tmp_path / "x.xlsx", {"data": OTHER, "results": DATA})
    done = run_read(file, "--sheet=results")
    assert (done.source["sheet"], done.values) == ("results", VALUES)


TEXT = csv_text(DATA)


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        csv_text(DATA, ";").encode(),
        csv_text(DATA, "\t").encode(),
        TEXT.replace("\r\n", "\n").encode(),
        TEXT.replace("\r\n", "\r").encode(),
        TEXT.rstrip().encode(),
        ("\r\n,,\r\n" + TEXT).encode(),
        csv_text([[*row, *[None] * (8 - len(row))] for row in DATA], ";").encode(),  # mif's end
    ],
)
def test_text_files_of_all_kinds_read_the_same(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(content)
    assert run_read(file).values == VALUES


def test_rows_of_a_text_file_are_counted_as_a_spreadsheet_does(tmp_path: Path) -> None:
    text = '\nmodel,scenario,region,variable,unit,2020\n\nm,"s\n1",r,v,u,1\nm,s,r,v,u,x\n'
    (tmp_path / "x.csv").write_text(text)
    done = run_read(tmp_path / "x.csv")
    assert done.source["header_row"] == 2
    assert done.data.filter(pl.col("value") == 1)["row"].to_list() == [4]
    assert done.cells["row"].to_list() == [5]


def test_archives_read_as_what_is_in_them(tmp_path: Path) -> None:
    plain, packed = TEXT.encode(), gzip.compress(TEXT.encode())
    book = data_xlsx(tmp_path / "b.xlsx").read_bytes()
    clutter = {"__MACOSX/._x.csv": b"x", "folder/.DS_Store": b"x"}
    for name, member, content in [
        ("1.zip", "x.csv", plain),
        ("2.zip", "folder/x.xlsx", book),
        ("3.zip", "x.csv.gz", packed),
    ]:
        done = run_read(zipped(tmp_path / name, {**clutter, member: content}))
        assert (done.values, done.source["file"]) == (VALUES, f"{name}/{member}")
    done = run_read(data_csv(tmp_path / "x.csv.gz"))
    assert (done.values, done.source["file"]) == (VALUES, "x.csv.gz")
    assert [p.name for p in done.folder.iterdir() if p.name.startswith(".")] == []


def test_the_content_decides_where_the_name_is_wrong(tmp_path: Path) -> None:
    file = data_xlsx(tmp_path / "x.xlsx")
    assert run_read(file.rename(tmp_path / "x.csv")).values == VALUES


def test_an_empty_unit_is_the_empty_unit(tmp_path: Path) -> None:
    done = run_read(data_csv(tmp_path / "x.csv", [("m", "s", "r", "v", "", 1)]))
    assert done.data["unit"].to_list() == [""]
    assert run_check(done) == []


def test_the_description_says_where_everything_stood(tmp_path: Path) -> None:
    meta = [["x"], ["Model", "Scenario", "n"], ["m", "s", 1]]
    done = run_read(xlsx(tmp_path / "x.xlsx", {"data": DATA, "Meta": meta[1:]}))
    assert done.source == {
        "file": "x.xlsx",
        "sheet": "data",
        "layout": "wide",
        "time": "year",
        "utc_offset": None,
        "header_row": 1,
        "columns": {
            "model": "A",
            "scenario": "B",
            "region": "C",
            "variable": "D",
            "unit": "E",
            "2020": "F",
            "2030": "G",
        },
        "datapoints": 3,
        "meta_sheet": "Meta",
        "meta_rows": [2],
        "meta_columns": {"model": "A", "scenario": "B", "n": "C"},
        "problems": [],
    }
    types = [pl.String] * 5 + [pl.Int64, pl.Float64, pl.UInt32]
    names = ["model", "scenario", "region", "variable", "unit", "year", "value", "row"]
    assert done.data.schema == dict(zip(names, types, strict=True))


def read_meta(tmp_path: Path, *rows: list[Any]) -> Any:
    return run_read(xlsx(tmp_path / "x.xlsx", {"data": DATA, "meta": rows}))


def test_indicators_keep_their_types(tmp_path: Path) -> None:
    done = read_meta(
        tmp_path,
        ["SCENARIO", "model", "int", "float", "bool", "text", "digits", "large", "exclude", "gap"],
        ["s", "m", 1, 1.5, True, "NA", "001", 5e9, False, None],
        ["t", "m", None, 2, False, "b", "2", 1, True, 3],
        [],
    )
    assert done.meta.columns[:2] == ["model", "scenario"]
    types = [
        pl.Int64,
        pl.Float64,
        pl.Boolean,
        pl.String,
        pl.String,
        pl.Float64,
        pl.Boolean,
        pl.Int64,
    ]
    assert done.meta.dtypes[2:] == types
    assert done.meta.rows() == [
        ("m", "s", 1, 1.5, True, "NA", "001", 5e9, False, None),
        ("m", "t", None, 2.0, False, "b", "2", 1.0, True, 3),
    ]


@pytest.mark.parametrize("values", [[1.5, "high"], [1, True], [True, "x"], [3, "NA"]])
def test_an_indicator_of_mixed_kinds_becomes_text_with_a_warning(
    tmp_path: Path, values: list[Any]
) -> None:
    done = read_meta(tmp_path, ["Model", "Scenario", "x"], *(["m", "s", v] for v in values))
    assert done.meta["x"].to_list() == [str(v).lower() if v is True else str(v) for v in values]
    [problem] = [p for p in run_check(done) if p["code"] != "duplicate_meta"]
    assert (problem["code"], problem["severity"]) == ("mixed_meta_types", "warning")
    assert (problem["sheet"], problem["column"], problem["field"]) == ("meta", "C", "x")


def test_true_and_false_typed_as_text_are_booleans(tmp_path: Path) -> None:
    rows = (["m", "s", v] for v in ["True", "FALSE", None, "false"])
    done = read_meta(tmp_path, ["Model", "Scenario", "exclude"], *rows)
    assert done.meta["exclude"].to_list() == [True, False, None, False]


def test_a_meta_sheet_without_model_is_reported_by_check(tmp_path: Path) -> None:
    done = read_meta(tmp_path, ["Scenario", "x"], ["s", 1])
    assert done.meta.is_empty()
    assert codes(run_check(done)) == ["wrong_meta_columns"]


def test_an_empty_meta_sheet_is_no_problem(tmp_path: Path) -> None:
    done = read_meta(tmp_path)
    assert done.meta.shape == (0, 2)
    assert run_check(done) == []


def test_a_meta_sheet_that_is_left_to_another_job_is_not_looked_at(tmp_path: Path) -> None:
    sheets = {"data": DATA, "meta": [["Scenario", "x"], ["s", "#N/A"]]}
    done = run_read(xlsx(tmp_path / "x.xlsx", sheets), "--no-meta")
    assert done.meta.shape == (0, 2)
    assert (done.source["meta_sheet"], done.source["problems"]) == (None, [])


@pytest.mark.parametrize("odd", ["NaN", "inf"])
def test_what_is_no_finite_number_in_the_meta_sheet_is_found(tmp_path: Path, odd: str) -> None:
    done = read_meta(tmp_path, ["Model", "Scenario", "x"], ["m", "s", 1], ["m", "t", odd])
    [problem] = [p for p in run_check(done) if p["severity"] == "error"]
    assert (problem["code"], problem["row"], problem["column"]) == ("illegal_meta_value", 3, "C")


def test_dates_in_the_meta_sheet_become_text(tmp_path: Path) -> None:
    done = read_meta(tmp_path, ["Model", "Scenario", "on"], ["m", "s", datetime(2026, 1, 2)])
    assert done.meta["on"].to_list() == ["2026-01-02 00:00:00"]
