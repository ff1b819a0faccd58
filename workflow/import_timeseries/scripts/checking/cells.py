"""Cells that hold something else than the number, year or time that they should."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl
from stagekit.problems import Problem

from checking.submission import Submission

_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?\d+(\.\d{3})*,\d+")
_NOTHING = ("na", "n/a", "nan", "null", "none", "-", "#n/a", "#na", "nd", "n.a.")
_KINDS = {
    "error": ("error_value", "The cell holds the error {value}: write a value or leave it empty."),
    "missing": (
        "missing_value",
        "The cell is empty; in the long layout each row needs a {field}: fill it or delete it.",
    ),
    "year": ("invalid_year", "{value!r} is no year of four digits."),
    "time": (
        "invalid_time",
        "{value!r} is no date or time such as 2030-01-31 14:00 (all with or all without a zone).",
    ),
}


def odd_cells(submission: Submission) -> Iterator[Problem]:
    """Give one problem for each value that stands in a column where it must not.

    Cells of one column that hold the same text are one problem with all their rows.
    """
    if submission.cells.is_empty():
        return
    grouped = submission.cells.group_by(
        ["kind", "column", "field", "value"], maintain_order=True
    ).agg(pl.col("row"))
    for kind, column, field, value, rows in grouped.iter_rows():
        code, message = _described(kind, field, value)
        yield submission.problem(code, message, rows, field=field, column=column, value=value)


def _described(kind: str, field: str, value: str | None) -> tuple[str, str]:
    if kind in _KINDS:
        code, message = _KINDS[kind]
        return code, message.format(value=value, field=field)
    text = (value or "").strip()
    if _INFINITE.fullmatch(text):
        return "infinite_value", f"{text!r} is no finite number: write a number or leave it empty."
    hint = ""
    if _COMMA.fullmatch(text):
        hint = " Write decimals with a point."
    elif text.lower() in _NOTHING:
        hint = " Leave the cell empty where there is no value."
    return "not_a_number", f"{text!r} is no number.{hint}"
