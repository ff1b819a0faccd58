"""From a table and its layout to one row for each datapoint, and the cells that hold none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl
from readkit.table import Table

from reading.cells import all_cells, error_cells, missing_cells, odd_texts
from reading.layout import INDEX, Layout
from reading.times import moment, year

_ROW, _TIME, _VALUE = "row", "\0time", "value"  # no header can be called that
_PIECE = 200_000  # datapoints that are in memory as rows at a time
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Tidy:
    """What was read.

    Attributes
    ----------
    data : polars.LazyFrame
        One row for each datapoint, and one with a null for each cell in `cells`, so that the
        names beside it are checked as well.
    cells : polars.DataFrame
        Columns `CELLS`: cells that hold no number, year or time where they should. Kinds:
        ``text``, ``error``, ``missing``, ``year``, ``time``.
    datapoints : int
        How many numbers there are.
    """

    data: pl.LazyFrame
    cells: pl.DataFrame
    datapoints: int


def tidy(table: Table, layout: Layout) -> Tidy:
    """Bring `table` into the tidy form: index, time, value, row."""
    return _from_wide(table, layout) if layout.kind == "wide" else _from_long(table, layout)


def _index(table: Table, layout: Layout) -> pl.DataFrame:
    """Give the index columns as categories (they repeat), and the row numbers."""
    series = table.texts(list(layout.index.values()))
    columns = [s.alias(name) for name, s in zip(layout.index, series, strict=True)]
    frame = pl.DataFrame([*columns, table.rows().alias(_ROW)])
    return frame.with_columns(pl.col(INDEX[-1]).fill_null("")).with_columns(
        pl.col(name).cast(pl.Categorical) for name in layout.index
    )


def _from_wide(table: Table, layout: Layout) -> Tidy:
    index = _index(table, layout)
    errors = error_cells(table)
    known = [table.letter(i) for i in (*layout.index.values(), *layout.times)]
    values, bad = [], [errors.filter(pl.col("column").is_in(known))]
    numbers = table.numbers(list(layout.times))
    for (i, time), (good, text) in zip(layout.times.items(), numbers, strict=True):
        values.append(good.alias(str(_stamp(time))))
        if text.null_count() < len(text):
            bad.append(odd_texts(table, i, text))
    cells = all_cells(bad)
    wide = index.hstack(values)
    points = sum(len(series) - series.null_count() for series in values)
    stamp = {table.letter(i): str(_stamp(t)) for i, t in layout.times.items()}
    lost = _beside(cells.filter(pl.col("column").is_in(list(stamp))), index, stamp)
    lazy = pl.concat([*_unpivoted(wide, index.columns), lost.lazy()])
    lazy = lazy.with_columns(pl.col(_TIME).cast(pl.Int64))
    return Tidy(_finished(lazy, layout, _zoned(layout)), cells, points)


def _unpivoted(wide: pl.DataFrame, index: list[str]) -> list[pl.LazyFrame]:
    """Give one row for each value, in pieces that are computed one after the other."""
    step = max(1, _PIECE // (wide.width - len(index)))
    return [
        wide.lazy()
        .slice(start, step)
        .unpivot(index=index, variable_name=_TIME, value_name=_VALUE)
        .filter(pl.col(_VALUE).is_not_null())
        for start in range(0, max(wide.height, 1), step)
    ]


def _beside(cells: pl.DataFrame, index: pl.DataFrame, stamp: dict[str, str]) -> pl.DataFrame:
    """Give the rows without a value that stand for the cells that hold no number."""
    return (
        cells.select(_ROW, pl.col("column").replace_strict(stamp).alias(_TIME))
        .join(index, on=_ROW, how="inner")
        .select(*index.columns, _TIME, pl.lit(None, dtype=pl.Float64).alias(_VALUE))
    )


def _stamp(time: int | datetime) -> int:
    """Give a time as an integer: the year, or microseconds since 1970."""
    if isinstance(time, int):
        return time
    naive = time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
    return (naive - _EPOCH) // timedelta(microseconds=1)


def _zoned(layout: Layout) -> bool:
    return any(isinstance(t, datetime) and t.tzinfo is not None for t in layout.times.values())


def _finished(lazy: pl.LazyFrame, layout: Layout, zoned: bool) -> pl.LazyFrame:
    """Put columns in order and give them the types of the contract."""
    texts = [pl.col(name).cast(pl.String) for name in layout.index]
    when = pl.col(_TIME).alias("year")
    if layout.time == "datetime":
        when = pl.col(_TIME).cast(pl.Datetime("us", "UTC" if zoned else None)).alias("time")
    return lazy.select(*texts, when, _VALUE, _ROW)


def _from_long(table: Table, layout: Layout) -> Tidy:
    assert layout.when is not None  # the long layout has both columns
    assert layout.value is not None
    index = _index(table, layout)
    [(value, text)] = table.numbers([layout.value])
    [when] = table.texts([layout.when])
    used = _used(index, value, text, when)
    stamps, zoned = _read_times(when, moment if layout.time == "datetime" else year)
    errors = error_cells(table)
    known = [table.letter(i) for i in (*layout.index.values(), layout.when, layout.value)]
    unreadable = _where(when, when.is_not_null() & stamps.is_null())
    bad = [
        errors.filter(pl.col("column").is_in(known)),
        odd_texts(table, layout.value, text),
        missing_cells(table, layout.value, used & value.is_null() & text.is_null()),
        missing_cells(table, layout.when, used & when.is_null()),
        odd_texts(table, layout.when, unreadable, "time" if layout.time == "datetime" else "year"),
    ]
    frame = index.with_columns(stamps.alias(_TIME), value.alias(_VALUE)).filter(used)
    points = frame.filter(pl.col(_VALUE).is_not_null() & pl.col(_TIME).is_not_null()).height
    return Tidy(_finished(frame.lazy(), layout, zoned), all_cells(bad), points)


def _used(index: pl.DataFrame, *others: pl.Series) -> pl.Series:
    """Say which rows hold anything at all; blank rows are no rows."""
    used = others[0].is_not_null()
    for series in (*others[1:], *(index[name] for name in INDEX[:-1])):
        used = used | series.is_not_null()
    return used


def _read_times(
    when: pl.Series, read: Callable[[str], int | datetime | None]
) -> tuple[pl.Series, bool]:
    """Read each distinct time once; a mix with and without time zone makes the fewer unreadable."""
    texts = when.drop_nulls().unique().to_list()
    found = {t: time for t in texts if (time := read(t.strip())) is not None}
    zoned = [t for t, time in found.items() if isinstance(time, datetime) and time.tzinfo]
    if len(zoned) < len(found):  # the ones with a zone are the odd ones
        found = {t: time for t, time in found.items() if t not in set(zoned)}
        zoned = []
    stamps = {t: _stamp(time) for t, time in found.items()}
    series = when.replace_strict(stamps, default=None, return_dtype=pl.Int64)
    return series, bool(zoned)


def _where(series: pl.Series, condition: pl.Series) -> pl.Series:
    return series.to_frame("s").select(pl.when(condition).then(pl.col("s"))).to_series()
