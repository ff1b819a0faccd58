"""What the columns of a table mean: index, times, values, or nothing that is known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from readkit.table import Table
from stagekit.problems import Problem, StageError

from reading.times import moment, year

INDEX = ("model", "scenario", "region", "variable", "unit")
TIME_NAMES = ("subannual", "year", "time", "value")


@dataclass(frozen=True)
class Layout:
    """The meaning of each column, by its number in the table.

    Attributes
    ----------
    kind : {"wide", "long"}
        One column for each time, or one row for each datapoint.
    time : {"year", "subannual", "datetime"}
        The time domain.
    index : dict of str to int
        The columns of model, …, unit, and of subannual where there is one.
    times : dict of int to (int or datetime)
        The time of each value column of the wide layout.
    when, value : int or None
        The columns of time and value of the long layout.
    extra, unnamed : tuple of int
        Columns with another name, and without one.
    """

    kind: Literal["wide", "long"]
    time: Literal["year", "subannual", "datetime"]
    index: dict[str, int]
    times: dict[int, int | datetime]
    when: int | None
    value: int | None
    extra: tuple[int, ...]
    unnamed: tuple[int, ...]


def has_iamc_columns(header: Sequence[str]) -> bool:
    """Say whether all of model, scenario, region, variable and unit are there, in any case."""
    return set(INDEX) <= {text.lower() for text in header}


def find_layout(table: Table) -> Layout:
    """Say what each column of `table` means.

    Raises
    ------
    StageError
        ``no_data`` without a header, ``missing_columns``, ``doubled_columns`` or
        ``wrong_time_columns``; each names the sheet and the columns.
    """
    if not any(table.header):
        raise StageError("no_data", f"{table.place} is empty: it holds no data.")
    names: dict[str, int] = {}
    times: dict[int, int | datetime] = {}
    extra, unnamed = [], []
    for i, text in enumerate(table.header):
        name = text.lower()
        found = _time(text)
        if not text:
            unnamed.append(i)
        elif name in INDEX or name in TIME_NAMES:
            names.setdefault(name, i)
        elif found is not None:
            times[i] = found
        else:
            extra.append(i)
    _refuse_doubled(table)
    _refuse_missing(table, names)
    index = {name: names[name] for name in (*INDEX, "subannual") if name in names}
    if "value" in names and ("year" in names or "time" in names):
        return _long(table, names, index, (*extra, *times), unnamed)
    extra += [names[name] for name in ("year", "time", "value") if name in names]
    return _wide(table, index, times, extra, unnamed)


def _time(text: str) -> int | datetime | None:
    found = year(text)
    return found if found is not None else moment(text)


def _long(
    table: Table,
    names: dict[str, int],
    index: dict[str, int],
    extra: Sequence[int],
    unnamed: Sequence[int],
) -> Layout:
    if "time" in names and ("year" in names or "subannual" in names):
        other = "year" if "year" in names else "subannual"
        message = f"{table.place} has a column time and a column {other}. Keep one of them."
        raise StageError("wrong_time_columns", message)
    when = names.get("time", names.get("year"))
    time = "datetime" if "time" in names else "subannual" if "subannual" in names else "year"
    unknown = tuple(sorted(extra))
    return Layout("long", time, index, {}, when, names["value"], unknown, tuple(unnamed))  # type: ignore[arg-type]


def _wide(
    table: Table,
    index: dict[str, int],
    times: dict[int, int | datetime],
    extra: Sequence[int],
    unnamed: Sequence[int],
) -> Layout:
    kinds = {
        "year" if isinstance(t, int) else "zone" if t.tzinfo else "naive" for t in times.values()
    }
    if not times:
        message = (
            f"{table.place} has neither columns of years (2020, 2030, …) or dates nor the columns "
            f"year and value. Its columns are: {', '.join(t for t in table.header if t)}."
        )
        raise StageError("wrong_time_columns", message)
    if len(kinds) > 1 or ("subannual" in index and kinds != {"year"}):
        message = (
            f"{table.place} mixes kinds of time: use only years (with or without a column "
            "subannual), or only dates, all with or all without a time zone."
        )
        raise StageError("wrong_time_columns", message)
    time = "subannual" if "subannual" in index else "year" if kinds == {"year"} else "datetime"
    unknown = tuple(sorted(extra))
    return Layout("wide", time, index, times, None, None, unknown, tuple(unnamed))  # type: ignore[arg-type]


def _refuse_missing(table: Table, names: dict[str, int]) -> None:
    missing = [name for name in INDEX if name not in names]
    if missing:
        columns = ", ".join(text for text in table.header if text)
        message = (
            f"{table.place}: the IAMC columns {', '.join(missing)} are missing in its header (row "
            f"{table.header_row}). Its columns are: {columns[:500]}."
        )
        raise StageError("missing_columns", message)


def _refuse_doubled(table: Table) -> None:
    places: defaultdict[object, list[int]] = defaultdict(list)
    for i, text in enumerate(table.header):
        if text:
            places[_time(text) or text.lower()].append(i)
    doubled = [where for where in places.values() if len(where) > 1]
    if not doubled:
        return
    problems = [_doubled(table, where) for where in doubled]
    message = f"{table.place} has doubled columns. " + " ".join(p.message for p in problems)
    raise StageError("doubled_columns", message, problems)


def _doubled(table: Table, where: list[int]) -> Problem:
    name = table.header[where[0]]
    columns = " and ".join(table.letter(i) for i in where)
    return Problem(
        code="doubled_columns",
        message=f"The column {name!r} stands in columns {columns}: keep one and delete the rest.",
        file=table.file,
        sheet=table.sheet,
        row=table.header_row,
        column=table.letter(where[1]),
        field=name,
        value=table.header[where[1]],
        count=len(where),
    )
