"""Any table written as xlsx, csv or parquet, wide or long, reads back the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .submitting import data_csv, data_xlsx, run_read

Points = dict[
    tuple[Any, ...], float
]  # (model, scenario, region, variable, unit[, subannual], time)

_ODD_NAMES = ["1", "1.0", "NA", "nan", "null", "TRUE", "=1+1", 'say "x"', "a,b;c", "Ä|€|中", "0012"]
names = st.one_of(
    st.sampled_from(_ODD_NAMES),
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=12),
).filter(lambda text: text.strip() != "" and "_x" not in text)  # _x0041_ is an escape in xlsx
# openpyxl writes 16 digits; test_read_numbers.py has numbers of 17
numbers = st.floats(-1e300, 1e300).map(lambda x: float(f"{x:.15g}")) | st.integers(
    -(10**15), 10**15
)
moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0)
)


def points(times: st.SearchStrategy[Any], *, subannual: bool = False) -> st.SearchStrategy[Points]:
    index = [names] * (6 if subannual else 5)
    return st.dictionaries(st.tuples(*index, times), numbers, min_size=1, max_size=12)


def wide(table: Points, columns: Sequence[str]) -> tuple[list[Any], list[list[Any]]]:
    times = sorted({key[-1] for key in table})
    rows = dict.fromkeys(key[:-1] for key in table)
    header = [*columns, *(t if isinstance(t, int) else t.isoformat(sep=" ") for t in times)]
    return header, [[*row, *(table.get((*row, t)) for t in times)] for row in rows]


def long(table: Points, columns: Sequence[str]) -> tuple[list[Any], list[list[Any]]]:
    time = "year" if isinstance(next(iter(table))[-1], int) else "time"
    shown = lambda t: t if isinstance(t, int) else t.isoformat(sep=" ")  # noqa: E731
    rows = [[*key[:-1], shown(key[-1]), value] for key, value in table.items()]
    return [*columns, time, "value"], rows


def parquet(path: Path, rows: Sequence[Sequence[Any]], header: Sequence[Any]) -> Path:
    columns = {str(name): [row[i] for row in rows] for i, name in enumerate(header)}
    frame = pl.DataFrame(columns, strict=False)
    frame.write_parquet(path)
    return path


WRITERS: dict[str, Callable[..., Path]] = {"xlsx": data_xlsx, "csv": data_csv, "parquet": parquet}


def read_back(table: Points, shape: Callable[..., Any], suffix: str, titles: Sequence[str]) -> None:
    header, rows = shape(table, titles)
    with tempfile.TemporaryDirectory() as folder:
        file = WRITERS[suffix](Path(folder) / f"x.{suffix}", rows, header)
        done = run_read(file)
        frame = done.data.drop("row").select(pl.exclude("value"), "value")
        assert done.cells.is_empty()
    found = {row[:-1]: row[-1] for row in frame.iter_rows()}
    assert frame.height == len(found)
    assert found == {key: float(value) for key, value in table.items()}


fast = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
everywhere = pytest.mark.parametrize("suffix", list(WRITERS))
shapes = pytest.mark.parametrize("shape", [wide, long])
TITLES = ("Model", "SCENARIO", "region", "Variable", "Unit")


@everywhere
@shapes
@fast
@given(table=points(st.integers(1000, 9999)))
def test_yearly_data_read_back_the_same(
    suffix: str, shape: Callable[..., Any], table: Points
) -> None:
    read_back(table, shape, suffix, TITLES)


@everywhere
@shapes
@fast
@given(table=points(st.integers(1990, 2100), subannual=True))
def test_subannual_data_read_back_the_same(
    suffix: str, shape: Callable[..., Any], table: Points
) -> None:
    read_back(table, shape, suffix, (*TITLES, "Subannual"))


@everywhere
@shapes
@fast
@given(table=points(moments))
def test_moments_read_back_the_same(suffix: str, shape: Callable[..., Any], table: Points) -> None:
    read_back(table, shape, suffix, TITLES)


@everywhere
@shapes
@fast
@given(table=points(moments.map(lambda t: t.replace(tzinfo=UTC))))
def test_moments_in_utc_read_back_the_same(
    suffix: str, shape: Callable[..., Any], table: Points
) -> None:
    read_back(table, shape, suffix, TITLES)


def test_an_offset_is_turned_into_utc(tmp_path: Path) -> None:
    zone = timezone(timedelta(hours=1))
    header = [*TITLES, datetime(2030, 1, 1, tzinfo=zone).isoformat(sep=" ")]
    done = run_read(data_csv(tmp_path / "x.csv", [("m", "s", "r", "v", "u", 1)], header))
    assert done.data["time"].to_list() == [datetime(2029, 12, 31, 23, tzinfo=UTC)]


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_dates_of_a_spreadsheet_are_read_as_dates(tmp_path: Path, layout: str) -> None:
    moment = datetime(2030, 6, 1, 12, 30)
    index = ["m", "s", "r", "v", "u"]
    if layout == "wide":
        file = data_xlsx(tmp_path / "x.xlsx", [[*index, 1.0]], [*TITLES, moment])
    else:
        rows = [[*index, moment, 1.0]]
        file = data_xlsx(tmp_path / "x.xlsx", rows, [*TITLES, "time", "value"])
    done = run_read(file)
    assert done.source["time"] == "datetime"
    assert done.data["time"].to_list() == [moment]
    assert done.data["time"].dtype == pl.Datetime("us")
