"""Rows that cannot be stored: incomplete ones and doubled ones."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
from stagekit.problems import Problem
from stagekit.units import for_platform

from checking.submission import Submission

LONGEST_NAME = 255  # what ixmp4 stores of a model, scenario, region, variable or unit
_OPTIONAL = ("unit",)


def incomplete_rows(submission: Submission) -> Iterator[Problem]:
    """Give one problem for each index column with empty cells beside values."""
    for name in submission.index:
        if name in _OPTIONAL:
            continue
        lacking = submission.data.lazy().filter(pl.col(name).is_null()).select("row").unique()
        rows = lacking.collect()["row"].to_list()
        if rows:
            message = f"The {name} is missing in {len(rows)} row(s) that hold values."
            yield submission.problem("missing_name", message, rows, field=name)


def long_names(submission: Submission) -> Iterator[Problem]:
    """Give one problem for each name that is too long to be stored."""
    for name in submission.index:
        lazy = submission.data.lazy().filter(pl.col(name).str.len_chars() > LONGEST_NAME)
        found = lazy.group_by(name).agg(pl.col("row").unique()).collect()
        for value, rows in found.iter_rows():
            message = f"This {name} has {len(value)} characters; at most {LONGEST_NAME} are stored."
            yield submission.problem("name_too_long", message, rows, field=name, value=value)


def duplicates(submission: Submission, *, as_stored: bool) -> Iterator[Problem]:
    """Give one problem for each set of rows that hold the same datapoints.

    Parameters
    ----------
    submission : Submission
        The data.
    as_stored : bool
        Compare units as the platform stores them, where no processing may change them first.

    Yields
    ------
    Problem
        Its ``rows`` are all rows concerned, its ``field`` the times that are doubled, its
        ``count`` the number of superfluous datapoints.
    """
    keys = [*submission.index, submission.time]
    data = submission.data.filter(pl.col(submission.time).is_not_null())
    if as_stored:
        units = data["unit"].unique().to_list()
        stored = {unit: for_platform(unit) for unit in units}
        data = data.with_columns(pl.col("unit").replace_strict(stored, return_dtype=pl.String))
    hashes = data.select(pl.struct(keys).hash()).to_series()
    suspects = data.filter(hashes.is_duplicated())
    if suspects.is_empty():
        return
    doubled = (
        suspects.group_by(keys, maintain_order=True)
        .agg(pl.col("row").sort())
        .filter(pl.col("row").list.len() > 1)
        .group_by([*submission.index, "row"], maintain_order=True)
        .agg(pl.col(submission.time).unique().sort())
        .sort("row")
    )
    for *names, rows, times in doubled.iter_rows():
        yield _duplicate(submission, names, rows, [str(t) for t in times])


def _duplicate(
    submission: Submission, names: list[str | None], rows: list[int], times: list[str]
) -> Problem:
    value = " / ".join(name or "" for name in names)
    where = " and ".join(str(row) for row in rows[:5]) + (" and more" if len(rows) > 5 else "")
    shown = ", ".join(times[:3]) + (f", … ({len(times)} times)" if len(times) > 3 else "")
    message = f"Rows {where} hold the same datapoint(s) {value} for {shown}: keep one of them."
    return submission.problem(
        "duplicate",
        message,
        rows,
        field=", ".join(times),
        value=value,
        count=(len(rows) - 1) * len(times),
    )
