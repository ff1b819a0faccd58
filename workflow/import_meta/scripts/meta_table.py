"""Meta indicators from workbooks, text and parquet files: which table holds them, and its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
from meta_rows import INDEX, Rows, filled, whole_version
from readkit.delimited import csv_header, load_csv
from readkit.excel import Workbook
from readkit.meta import KEYS, Cells, Meta, meta_sheet, read_meta
from readkit.parquet import load_parquet
from readkit.table import Table
from readkit.unpack import Source
from stagekit.nearest import did_you_mean, nearest
from stagekit.problems import Problem, StageError

_TIMESERIES = {"region", "variable", "unit"}


def read_table(source: Source, scratch: Path, sheet: str | None, optional: bool) -> Rows | None:
    """Read the indicators of a file that is a table.

    Parameters
    ----------
    source : Source
        An xlsx, xls, csv or parquet file.
    scratch : Path
        A folder for copies.
    sheet : str or None
        The sheet that was asked for.
    optional : bool
        A file of timeseries without indicators is no error.

    Returns
    -------
    Rows or None
        None if there are no indicators and none are required.

    Raises
    ------
    StageError
        ``unknown_sheet``, ``no_meta_sheet``, ``timeseries_instead``, ``no_data``, or one of
        `readkit`.
    """
    if source.kind in ("xlsx", "xls"):
        return _from_workbook(Workbook(source), source.name, sheet, optional)
    if sheet is not None:
        message = f"{source.name} has no sheets, but the sheet {sheet!r} was asked for."
        raise StageError("unknown_sheet", message)
    if source.kind == "csv":
        if _refused(csv_header(source, scratch, KEYS), source.name, optional):
            return None
        return _rows(load_csv(source, scratch, KEYS), "text")
    table = load_parquet(source)
    if _refused(table.header, source.name, optional):
        return None
    rows = _rows(table, "typed")
    rows.problems += _lists(source.path, table)
    return rows


def _from_workbook(book: Workbook, name: str, wanted: str | None, optional: bool) -> Rows | None:
    listed = ", ".join(repr(sheet) for sheet in book.sheets)
    chosen = meta_sheet(book.sheets) if wanted is None else _alike(book.sheets, wanted)
    if wanted is not None and chosen is None:
        near = did_you_mean(nearest(wanted, book.sheets))
        message = f"{name} has no sheet {wanted!r}. Its sheets are: {listed}.{near}"
        raise StageError("unknown_sheet", message)
    if chosen is None and len(book.sheets) == 1:
        [chosen] = book.sheets
        if _refused(book.header(chosen)[1], name, optional):
            return None
    if chosen is not None:
        return _rows(book.load(chosen), "sheet")
    if optional:
        return None
    message = (
        f"{name} has no sheet called meta, and several others: {listed}. Say with the parameter"
        " 'sheet' which one holds the indicators."
    )
    raise StageError("no_meta_sheet", message)


def _alike(sheets: Sequence[str], wanted: str) -> str | None:
    if wanted in sheets:
        return wanted
    alike = [s for s in sheets if s.strip().lower() == wanted.strip().lower()]
    return alike[0] if len(alike) == 1 else None


def _refused(header: Sequence[str], name: str, optional: bool) -> bool:
    """Tell whether a table holds timeseries; an error unless indicators are optional."""
    found = {text.lower() for text in header}
    if not found >= _TIMESERIES:
        return False
    if optional:
        return True
    message = (
        f"{name} holds timeseries (it has the columns region, variable and unit), not meta"
        " indicators: one row for each model and scenario, one column for each indicator."
    )
    raise StageError("timeseries_instead", message)


def _rows(table: Table, cells: Cells) -> Rows:
    meta = read_meta(table, cells, plain=INDEX[2:])
    rows = Rows(table.file, table.sheet, table.header_row, meta.columns, _worded(meta, table))
    if not table.header or (meta.frame.is_empty() and not meta.problems):
        what = "is empty" if not table.header else "has a header and no row below it"
        raise StageError("no_data", f"{table.place} {what}: there is nothing to do.")
    frame = meta.frame
    versions = frame["version"].to_list() if "version" in frame.columns else [None] * len(frame)
    index = zip(meta.rows, frame["model"], frame["scenario"], versions, strict=True)
    for row, model, scenario, version in index:
        rows.add(row, model, scenario, whole_version(version))
    indicators = frame.drop(INDEX, strict=False)
    for row, key, value in filled(indicators, meta.rows):
        rows.set(row, key, value)
    return rows


def _worded(meta: Meta, table: Table) -> list[Problem]:
    """Add to the problem of missing columns what the columns are."""
    shown = ", ".join(text for text in table.header if text)[:500]
    return [
        replace(problem, message=f"{problem.message} Its columns are: {shown}.")
        if problem.code == "wrong_meta_columns"
        else problem
        for problem in meta.problems
    ]


def _lists(path: Path, table: Table) -> list[Problem]:
    """Find the cells of a parquet file that hold lists, which were read as text."""
    nested = [n for n, t in pl.read_parquet_schema(path).items() if t.is_nested()]
    found = []
    for name in nested:
        i = table.header.index(name.strip())
        series = table.frame.to_series(i)
        for row, value in zip(table.rows(), series.to_list(), strict=True):
            if value is not None:
                text = f"The value of {name!r} is a list, which cannot be stored."
                place = {"row": int(row), "column": table.letter(i), "field": name}
                found.append(
                    Problem("illegal_meta_value", text, file=table.file, value=value[:200], **place)  # type: ignore[arg-type]
                )
    return found
