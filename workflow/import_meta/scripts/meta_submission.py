"""What was submitted: runs, indicators, and where each thing stands in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stagekit.problems import Problem, Severity, ranges

Value = bool | int | float | str


@dataclass(frozen=True)
class Row:
    """A row of the file.

    Attributes
    ----------
    number : int
        As a spreadsheet counts; of JSON, which record it is.
    model, scenario : str or None
        None if empty.
    version : str or None
        As it was written; None means the default version.
    """

    number: int
    model: str | None
    scenario: str | None
    version: str | None

    @property
    def shown(self) -> str:
        """Name the run."""
        named = f"{self.model} / {self.scenario}"
        return f"{named} version {self.version}" if self.version else named


@dataclass
class Submission:
    """What was submitted.

    Attributes
    ----------
    source : dict
        The content of ``meta_source.json``.
    rows : list of Row
    values : dict
        Indicators of each row, by its number.
    """

    source: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    values: dict[int, dict[str, Value]] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Name the sheet or the file."""
        sheet = self.source["sheet"]
        return f"sheet {sheet!r} of {self.source['file']}" if sheet else str(self.source["file"])

    @property
    def keys(self) -> list[str]:
        """The names of all indicators with a value, in the order of the file."""
        return list(dict.fromkeys(key for values in self.values.values() for key in values))

    def of(self, row: Row) -> dict[str, Value]:
        """Give the indicators of a row."""
        return self.values.get(row.number, {})

    def problem(
        self,
        code: str,
        message: str,
        rows: Sequence[int],
        field: str | None = None,
        value: str | None = None,
        suggestions: Sequence[str] = (),
        severity: Severity = "error",
    ) -> Problem:
        """Describe a problem in rows of the file; `field` is the column that it stands in."""
        return Problem(
            code,
            message,
            severity,
            file=self.source["file"],
            sheet=self.source["sheet"],
            row=min(rows) if rows else None,
            rows=ranges(rows) or None,
            column=self.source["columns"].get(field),
            field=field,
            value=value,
            suggestions=tuple(suggestions),
            count=max(1, len(rows)),
        )
