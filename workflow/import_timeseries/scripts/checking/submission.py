"""What stage read left behind, and where each thing stood in the submitted file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from stagekit.problems import Problem, Severity, StageError, ranges
from stagekit.tables import read_parquet


@dataclass(frozen=True)
class Submission:
    """The data to be checked.

    Attributes
    ----------
    data : polars.DataFrame
        The tidy table with ``row``; null where a cell held no number.
    meta : polars.DataFrame
        The meta indicators.
    cells : polars.DataFrame
        Cells that held no number, year or time where they should.
    source : dict
        The content of ``source.json``.
    """

    data: pl.DataFrame
    meta: pl.DataFrame
    cells: pl.DataFrame
    source: Mapping[str, Any]

    @property
    def place(self) -> str:
        """Name the data sheet or the file."""
        sheet = self.source["sheet"]
        return f"sheet {sheet!r} of {self.source['file']}" if sheet else str(self.source["file"])

    @property
    def index(self) -> list[str]:
        """The columns that say what a datapoint is about, without its time."""
        return self.data.columns[: self.data.columns.index(self.time)]

    @property
    def time(self) -> str:
        """The column of the time: ``year`` or ``time``."""
        return "time" if self.source["time"] == "datetime" else "year"

    def read_problems(self) -> list[Problem]:
        """Give what stage read found on its way."""
        found = self.source.get("problems", [])
        return [Problem(**{**p, "suggestions": tuple(p["suggestions"])}) for p in found]

    def problem(
        self,
        code: str,
        message: str,
        rows: Sequence[int],
        *,
        field: str | None = None,
        column: str | None = None,
        value: str | None = None,
        severity: Severity = "error",
        suggestions: Sequence[str] = (),
        count: int | None = None,
    ) -> Problem:
        """Describe a problem in rows of the data sheet.

        Parameters
        ----------
        code, message, severity, value, suggestions
            As in `Problem`.
        rows : sequence of int
            Where it stands.
        field : str, optional
            The dimension; its column letter is looked up unless `column` gives it.
        count : int, optional
            How many cells or rows it concerns; all of `rows` if not given.
        """
        return Problem(
            code,
            message,
            severity,
            file=self.source["file"],
            sheet=self.source["sheet"],
            row=min(rows) if rows else None,
            rows=ranges(rows) or None,
            column=column or self.source["columns"].get(field),
            field=field,
            value=value,
            suggestions=tuple(suggestions),
            count=len(rows) if count is None else count,
        )

    def meta_problem(
        self,
        code: str,
        message: str,
        rows: Sequence[int],
        *,
        field: str | None = None,
        value: str | None = None,
        severity: Severity = "error",
    ) -> Problem:
        """Describe a problem in rows of the meta sheet."""
        return Problem(
            code,
            message,
            severity,
            file=self.source["file"],
            sheet=self.source.get("meta_sheet"),
            row=min(rows) if rows else None,
            rows=ranges(rows) or None,
            column=self.source.get("meta_columns", {}).get(field),
            field=field,
            value=value,
            count=max(1, len(rows)),
        )


def load_submission(data: Path, meta: Path, cells: Path | None, source: Path) -> Submission:
    """Read the outputs of stage read.

    Raises
    ------
    StageError
        ``missing_input`` if one is not there.
    """
    try:
        described = json.loads(source.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError) as error:
        message = f"{source.name} is not there or damaged: run stage read first."
        raise StageError("missing_input", message) from error
    odd = read_parquet(cells) if cells is not None else pl.DataFrame()
    return Submission(read_parquet(data), read_parquet(meta), odd, described)
