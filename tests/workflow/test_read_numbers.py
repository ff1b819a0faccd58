"""Numbers are read exactly, and what is no number is kept with its place."""

from __future__ import annotations

import math
import re
import zipfile
from datetime import datetime
from pathlib import Path

import openpyxl
import polars as pl
import pytest
import xlwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .submitting import HEADER, data_csv, data_xlsx, run_read

INDEX = ["m", "s", "r", "v", "u"]


def patched(file: Path, changes: dict[str, str]) -> Path:
    """Change the XML of the data sheet, as other programs might have written it."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    text = members["xl/worksheets/sheet1.xml"].decode()
    for old, new in changes.items():
        assert old in text, text
        text = text.replace(old, new)
    members["xl/worksheets/sheet1.xml"] = text.encode()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


@pytest.mark.parametrize("number", ["0.30000000000000004", "1.7976931348623157E+308", "5E-324"])
@pytest.mark.parametrize("beside", [7.5, "text"])
def test_numbers_keep_all_their_digits(tmp_path: Path, number: str, beside: object) -> None:
    file = data_xlsx(tmp_path / "x.xlsx", [[*INDEX, 1.25], ["m", "s", "q", "v", "u", beside]])
    patched(file, {"<v>1.25</v>": f"<v>{number}</v>"})
    done = run_read(file)
    assert done.data.filter(pl.col("row") == 2)["value"].to_list() == [float(number)]


def test_numbers_of_a_text_file_keep_all_their_digits(tmp_path: Path) -> None:
    numbers = ["0.30000000000000004", "1.7976931348623157e308", "5e-324", " 1E+3 ", "+.5"]
    rows = [[*INDEX[:2], f"r{i}", "v", "u", n] for i, n in enumerate(numbers)]
    done = run_read(data_csv(tmp_path / "x.csv", rows))
    assert done.values == [float(n) for n in numbers]


ODD = ["text", "n/a", "NaN", "-inf", "1,5", "0x10", True, False, datetime(2030, 1, 1)]


def test_what_is_no_number_is_kept_with_its_place(tmp_path: Path) -> None:
    rows = [[*INDEX[:2], f"r{i}", "v", "u", odd, i] for i, odd in enumerate(ODD)]
    done = run_read(data_xlsx(tmp_path / "x.xlsx", rows))
    assert done.cells["row"].to_list() == list(range(2, 2 + len(ODD)))
    assert set(done.cells["column"]) == {"F"}
    assert set(done.cells["field"]) == {"2020"}
    shown = ["text", "n/a", "NaN", "-inf", "1,5", "0x10", "true", "false", "2030-01-01 00:00:00"]
    assert done.cells["value"].to_list() == shown
    assert done.source["datapoints"] == len(ODD)  # those of 2030
    assert done.data.height == 2 * len(ODD)  # names beside odd cells are checked as well


def test_a_boolean_between_numbers_is_no_number(tmp_path: Path) -> None:
    rows = [["m", "s", "a", "v", "u", 1.5], ["m", "s", "b", "v", "u", True]]
    done = run_read(data_xlsx(tmp_path / "x.xlsx", rows))
    assert done.cells.rows() == [(3, "F", "2020", "true", "text")]
    assert done.values == [1.5, None]


def test_numbers_written_as_text_are_numbers(tmp_path: Path) -> None:
    rows = [["m", "s", "a", "v", "u", "1.5", 2], ["m", "s", "b", "v", "u", " 2e3 ", 3]]
    done = run_read(data_xlsx(tmp_path / "x.xlsx", rows))
    assert done.values == [1.5, 2.0, 2000.0, 3.0]


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    header = (2030, "Unit", "Variable", 2020, "Region", "Scenario", "Model")
    rows = [("x", "u", 1, 0.5, 2, 3, 4), (7, "u", 5, "y", 6, 7, 8)]
    done = run_read(data_xlsx(tmp_path / "x.xlsx", rows, header))
    assert done.data.filter(pl.col("value").is_not_null()).sort("row").drop("row").rows() == [
        ("4", "3", "2", "1", "u", 2020, 0.5),
        ("8", "7", "6", "5", "u", 2030, 7.0),
    ]
    assert done.cells.sort("row").select("row", "column", "value").rows() == [
        (2, "A", "x"),
        (3, "D", "y"),
    ]


@pytest.mark.parametrize("quote", ['"', "'"])
def test_error_cells_are_kept_with_their_place(tmp_path: Path, quote: str) -> None:
    rows = [["m", "s", "a", "v", "u", 1.5, 111], ["m", "s", 222, "v", "u", 3, 4]]
    file = data_xlsx(tmp_path / "x.xlsx", rows)
    changes = {
        '<c r="G2" t="n"><v>111</v>': f"<c r={quote}G2{quote} t={quote}e{quote}><v>#N/A</v>",
        '<c r="C3" t="n"><v>222</v>': f"<c r={quote}C3{quote} t={quote}e{quote}><v>#REF!</v>",
    }
    done = run_read(patched(file, changes))
    assert done.cells.rows() == [
        (2, "G", "2030", "#N/A", "error"),
        (3, "C", "Region", "#REF!", "error"),
    ]


def test_a_sheet_that_starts_elsewhere_has_the_places_a_spreadsheet_shows(tmp_path: Path) -> None:
    rows = [[], [], [None, None, *HEADER], [], [None, None, *INDEX, "text", 2]]
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.active.title = "data"
    book.save(tmp_path / "x.xlsx")
    done = run_read(tmp_path / "x.xlsx")
    assert done.source["header_row"] == 3
    assert done.source["columns"]["model"] == "C"
    assert done.source["columns"]["2030"] == "I"
    assert done.cells.rows() == [(5, "H", "2020", "text", "text")]
    assert done.data["row"].to_list() == [5, 5]
    assert sorted(done.data["value"].to_list(), key=str) == [2.0, None]


def test_old_workbooks_are_read_with_places_and_error_cells(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("data")
    for column, name in enumerate(HEADER, start=1):
        sheet.write(1, column, name)
    for column, value in enumerate([*INDEX, 0.1 + 0.2], start=1):
        sheet.write(2, column, value)
    sheet.row(2).set_cell_error(7, 0x2A)
    for column, value in enumerate([*INDEX[:3], "w", "u", True, "text"], start=1):
        sheet.write(3, column, value)
    book.save(str(tmp_path / "x.xls"))
    done = run_read(tmp_path / "x.xls")
    assert done.data["value"].drop_nulls().to_list() == [0.30000000000000004]
    assert done.cells.sort("row", "column").rows() == [
        (3, "H", "2030", "#N/A", "error"),
        (4, "G", "2020", "true", "text"),
        (4, "H", "2030", "text", "text"),
    ]


def test_empty_cells_of_the_wide_layout_are_no_datapoints(tmp_path: Path) -> None:
    rows = [[*INDEX, None, 2], ["m", "s", "b", "v", "u", " ", None], ["m", "s", "c", "v", "u", 1]]
    for file in (data_xlsx(tmp_path / "x.xlsx", rows), data_csv(tmp_path / "x.csv", rows)):
        done = run_read(file)
        assert done.cells.is_empty()
        assert done.data.select("region", "year", "value").sort("value").rows() == [
            ("c", 2020, 1.0),
            ("r", 2030, 2.0),
        ]


def test_nan_in_a_parquet_file_is_an_empty_cell(tmp_path: Path) -> None:
    frame = pl.DataFrame([[*INDEX, math.nan, 2.0]], schema=[str(h) for h in HEADER], orient="row")
    frame.write_parquet(tmp_path / "x.parquet")
    done = run_read(tmp_path / "x.parquet")
    assert done.data["year"].to_list() == [2030]
    assert done.cells.is_empty()


cells = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(-1e9, 1e9).map(lambda x: float(f"{x:.15g}")),
    st.integers(-1000, 1000),
    st.sampled_from(["1", "1.5", "x", " ", "nan", "#N/A", "true", "-", "1e3"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=6))
def test_whole_columns_are_read_as_cell_by_cell(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[object, object]]
) -> None:
    """The way through typed columns equals a slow twin that looks at each cell with openpyxl."""
    folder = tmp_path_factory.mktemp("twin")
    table = [["m", "s", f"r{i}", "v", "u", *pair] for i, pair in enumerate([(0, 0), *rows])]
    file = data_xlsx(folder / "x.xlsx", table)
    values, odd = twin(file)
    done = run_read(file)
    frame = done.data.filter(pl.col("value").is_not_null())
    assert {
        (row, year): v for row, year, v in frame.select("row", "year", "value").rows()
    } == values
    assert {(row, column) for row, column, *_ in done.cells.rows()} == odd


def twin(file: Path) -> tuple[dict[tuple[int, int], float], set[tuple[int, str]]]:
    sheet = openpyxl.load_workbook(file)["data"]
    values, odd = {}, set()
    for line in sheet.iter_rows(min_row=2, min_col=6, max_col=7):
        for cell in line:
            text = "" if cell.value is None else str(cell.value).strip()
            number = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text)
            if isinstance(cell.value, bool) or (text and not number):
                odd.add((cell.row, cell.column_letter))
            elif text:
                values[cell.row, 2020 if cell.column == 6 else 2030] = float(text)
    return values, odd


@pytest.mark.parametrize("text", ["NA", "nan", "#N/A", "null", "None", "<NA>", "n/a"])
def test_a_text_that_other_readers_take_for_nothing_is_not_lost(tmp_path: Path, text: str) -> None:
    rows = [["m", "s", "a", "v", "u", 1.5], ["m", "s", "b", "v", "u", text]]
    for file in (data_xlsx(tmp_path / "x.xlsx", rows), data_csv(tmp_path / "x.csv", rows)):
        assert run_read(file).cells.rows() == [(3, "F", "2020", text, "text")]
