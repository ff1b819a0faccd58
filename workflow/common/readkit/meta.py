"""The meta sheet: one row for each model and scenario, one column for each indicator."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl
from stagekit.problems import Problem

from readkit.table import Table, blank_to_null

KEYS = ("model", "scenario")
_INT_MAX = 2**31 - 1  # a whole number beyond stays a float: ixmp4 stores 32-bit integers
_BOOLEANS = ("true", "false")
_WHOLE = r"^[+-]?\d+$"
_CODE = r"^[+-]?0\d"  # 007 is a name made of digits, no number
Cells = Literal["sheet", "text", "typed"]


@dataclass
class Meta:
    """What was read from the meta sheet.

    Attributes
    ----------
    frame : polars.DataFrame
        Columns model, scenario, then the indicators with types of their own.
    rows : list of int
        Row number of each row of `frame`.
    columns : dict of str to str
        Letter of each column.
    problems : list of Problem
        What is wrong with it; stage check reports them with everything else.
    """

    frame: pl.DataFrame
    rows: list[int] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def meta_sheet(sheets: Sequence[str]) -> str | None:
    """Give the name of the meta sheet, in any case; None if there is none."""
    return next((s for s in sheets if s.strip().lower() == "meta"), None)


def no_meta() -> Meta:
    """Give the meta of a file without a meta sheet."""
    return Meta(pl.DataFrame(schema={key: pl.String for key in KEYS}))


def read_meta(table: Table, cells: Cells = "sheet", plain: Collection[str] = ()) -> Meta:
    """Read the indicators of a meta sheet, or of a file of the same form.

    Parameters
    ----------
    table : Table
        The sheet.
    cells : {"sheet", "text", "typed"}
        What its cells are: those of a spreadsheet, which does not tell 1 from 1.0; text, of which
        numbers are recognised by how they are written; values with types of their own.
    plain : collection of str
        Further columns, in lower case, that are no indicators: found in any case, read as text.

    Returns
    -------
    Meta
        Without rows if the columns model and scenario are not there (a problem says so).
    """
    meta = no_meta()
    columns = _named_columns(table, meta.problems, {*KEYS, *plain})
    missing = [key for key in KEYS if key not in columns]
    if missing and not columns and not table.frame.height:
        return meta  # an empty sheet
    if missing:
        text = f"{_called(table)} has no column {' and no column '.join(missing)}."
        meta.problems.append(_problem(table, "wrong_meta_columns", text))
        return meta
    index = table.texts([columns[key] for key in KEYS])
    frame = pl.DataFrame([s.alias(key) for key, s in zip(KEYS, index, strict=True)])
    for name, i in columns.items():
        if name in plain:
            frame = frame.with_columns(table.texts([i])[0].alias(name))
        elif name not in KEYS:
            frame = frame.with_columns(_indicator(table, i, meta.problems, cells).alias(name))
    frame = _used(frame, table)
    meta.rows = frame["\0row"].to_list()
    meta.frame = frame.drop("\0row")
    meta.columns = {name: table.letter(i) for name, i in columns.items()}
    meta.problems += _error_cells(table)
    return meta


def _used(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Keep the rows with anything in them, with their numbers."""
    filled = pl.any_horizontal(pl.col(frame.columns).is_not_null())
    return frame.with_columns(table.rows().alias("\0row")).filter(filled)


def _called(table: Table) -> str:
    return "The meta sheet" if table.sheet else "The file"


def _named_columns(table: Table, problems: list[Problem], keys: Collection[str]) -> dict[str, int]:
    """Give the columns by name; those in `keys` in any case, the first of doubled ones."""
    columns: dict[str, int] = {}
    for i, text in enumerate(table.header):
        name = text.lower() if text.lower() in keys else text
        if not name:
            if blank_to_null(table.frame.to_series(i)).null_count() < table.frame.height:
                what = f"Column {table.letter(i)} has values but no name: name or delete it."
                problems.append(_problem(table, "unnamed_meta_column", what, i))
        elif name in columns:
            what = f"{name!r} stands in the header twice, in columns "
            what += f"{table.letter(columns[name])} and {table.letter(i)}: keep one."
            problems.append(_problem(table, "doubled_meta_column", what, i))
        else:
            columns[name] = i
    return columns


def _indicator(table: Table, i: int, problems: list[Problem], cells: Cells) -> pl.Series:
    """Give a column of indicators with the type it has: bool, int, float or text."""
    series = table.frame.to_series(i)
    if cells == "typed":
        return _own_type(series)
    [text] = table.texts([i])
    shown = text.drop_nulls()
    if shown.is_empty():
        return text
    if not _is_mixed(shown):
        if shown.str.to_lowercase().is_in(_BOOLEANS).all():  # also where they were typed as text
            return text.str.to_lowercase() == "true"
        if cells == "text":
            return _written_number(text)
        return _number(series) if series.dtype.is_numeric() else _unless_infinite(text)
    what = f"The meta indicator {table.header[i]!r} mixes kinds of values: all are stored as text."
    problems.append(_problem(table, "mixed_meta_types", what, i, severity="warning"))
    return text


def _own_type(series: pl.Series) -> pl.Series:
    if series.dtype == pl.Boolean:
        return series
    if series.dtype.is_integer():
        whole = series.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == series.null_count() else series.cast(pl.Float64)
    return series.cast(pl.Float64) if series.dtype.is_numeric() else blank_to_null(series)


def _written_number(text: pl.Series) -> pl.Series:
    """Read a column of text as numbers if it holds nothing else: 1 is whole, 1.0 is not."""
    shown = text.str.strip_chars()
    values = shown.cast(pl.Float64, strict=False)
    if values.null_count() > text.null_count() or shown.str.contains(_CODE).any():
        return text
    if not shown.drop_nulls().str.contains(_WHOLE).all():
        return values
    whole = shown.cast(pl.Int64, strict=False)
    return values if whole.null_count() > text.null_count() else whole


def _unless_infinite(text: pl.Series) -> pl.Series:
    """Give numbers where ``inf`` or ``NaN`` stands among them, so that the check finds it."""
    values = text.str.strip_chars().cast(pl.Float64, strict=False)
    finite = values.drop_nulls().is_finite()
    return values if finite.any() and not finite.all() else text


def _is_mixed(shown: pl.Series) -> bool:
    numbers = shown.str.strip_chars().cast(pl.Float64, strict=False).is_not_null()
    booleans = shown.str.to_lowercase().is_in(_BOOLEANS)
    return (numbers | booleans).any() and not (numbers.all() or booleans.all())


def _number(series: pl.Series) -> pl.Series:
    """Make whole numbers integers; a spreadsheet does not tell 1 from 1.0."""
    values = series.cast(pl.Float64)
    known = values.drop_nulls()
    whole = (known.is_finite() & (known == known.round()) & (known.abs() <= _INT_MAX)).all()
    return values.cast(pl.Int64) if len(known) and whole else values


def _error_cells(table: Table) -> list[Problem]:
    return [
        _problem(
            table,
            "error_value",
            f"The cell holds the error {cell.text}: write a value or leave it empty.",
            cell.column - table.first_column,
            row=cell.row,
            value=cell.text,
        )
        for cell in table.odd
    ]


def _problem(table: Table, code: str, message: str, i: int | None = None, **more: Any) -> Problem:
    place: dict[str, Any] = {"file": table.file, "sheet": table.sheet, "row": table.header_row}
    if i is not None:
        place |= {"column": table.letter(i), "field": table.header[i] or None}
    return Problem(code, message, **(place | more))
