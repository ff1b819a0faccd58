"""What stage read makes of any file: runs, one a row, and a value for each filled cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from meta_submission import Row, Submission, Value
from stagekit.problems import Problem

INDEX = ("model", "scenario", "version")
_KINDS: dict[type, str] = {bool: "truth", int: "whole", float: "number", str: "text"}
_VALUES: dict[str, type[pl.DataType]] = {
    "row": pl.UInt32,
    "key": pl.String,
    "truth": pl.Boolean,
    "whole": pl.Int64,
    "number": pl.Float64,
    "text": pl.String,
}
_ROWS: dict[str, type[pl.DataType]] = {
    "row": pl.UInt32,
    "model": pl.String,
    "scenario": pl.String,
    "version": pl.String,
}


@dataclass
class Rows:
    """Runs and their indicators, as they stand in a file.

    Attributes
    ----------
    file, sheet : str
        Where they stand; no sheet for files without.
    header_row : int
        Row of the header; 0 where there is none.
    columns : dict of str to str
        Letter of each column, where there are columns.
    problems : list of Problem
        What is wrong with the table; it is reported with everything else.
    """

    file: str
    sheet: str | None
    header_row: int
    columns: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _rows: list[Row] = field(default_factory=list)
    _values: list[tuple[int, str, Value]] = field(default_factory=list)

    def add(self, row: int, model: str | None, scenario: str | None, version: str | None) -> None:
        """Add a run."""
        self._rows.append(Row(row, _text(model), _text(scenario), version))

    def set(self, row: int, key: str, value: Value) -> None:
        """Set an indicator of the run in `row`."""
        self._values.append((row, _text(key), _text(value)))

    def submission(self) -> Submission:
        """Give it as what was submitted."""
        source = {
            "file": self.file,
            "sheet": self.sheet,
            "header_row": self.header_row,
            "columns": self.columns,
            "rows": len(self._rows),
            "values": len(self._values),
        }
        made = Submission(source, self._rows)
        for row, key, value in self._values:
            made.values.setdefault(row, {})[key] = value
        return made

    def tables(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Give the runs and the values as tables."""
        runs = [(row.number, row.model, row.scenario, row.version) for row in self._rows]
        columns: dict[str, list[Any]] = {name: [] for name in _VALUES}
        for row, key, value in self._values:
            filled = {"row": row, "key": key, _KINDS[type(value)]: value}
            for name, column in columns.items():
                column.append(filled.get(name))
        return pl.DataFrame(runs, schema=_ROWS, orient="row"), pl.DataFrame(columns, schema=_VALUES)


def whole_version(value: object) -> str | None:
    """Write a version as text, so that what is no version is reported with its row."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text: str = _text(str(value).strip())
    whole = text.removesuffix(".0")
    return whole if whole.isdigit() else text


def _text(value: Any) -> Any:
    """Replace lone surrogates, which JSON can hold and no other file; `meta_json` reports them."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def filled(frame: pl.DataFrame, rows: list[int]) -> Iterator[tuple[int, str, Value]]:
    """Give row, name and value of each cell of the columns of `frame` that holds anything."""
    for series in frame.get_columns():
        for row, value in zip(rows, series.to_list(), strict=True):
            if value is not None:
                yield row, series.name, value
