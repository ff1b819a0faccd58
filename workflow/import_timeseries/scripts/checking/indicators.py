"""Meta indicators that ixmp4 would refuse, and such that belong to nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import polars as pl
from stagekit.indicators import key_fault, value_fault
from stagekit.problems import Problem

from checking.submission import Submission


def indicator_problems(submission: Submission) -> Iterator[Problem]:
    """Give all problems of the meta table."""
    yield from _keys(submission)
    for name in submission.meta.columns[2:]:
        yield from _values(submission, submission.meta[name])
    yield from _scenarios(submission)


def _keys(submission: Submission) -> Iterator[Problem]:
    header: list[int] = []
    for name in submission.meta.columns[2:]:
        if message := key_fault(name):
            yield submission.meta_problem(
                "illegal_meta_key", message, header, field=name, value=name
            )


def _values(submission: Submission, series: pl.Series) -> Iterator[Problem]:
    if series.dtype.is_nested():
        message = f"The meta indicator {series.name!r} holds lists, which cannot be stored."
        rows = submission.source["meta_rows"]
        yield submission.meta_problem("illegal_meta_value", message, rows, field=series.name)
        return
    for row, value in zip(_meta_rows(submission), series.to_list(), strict=True):
        if what := value_fault(value):
            message = f"The value of {series.name!r} {what}."
            shown = str(value)[:200]
            yield submission.meta_problem(
                "illegal_meta_value", message, [row], field=series.name, value=shown
            )


def _meta_rows(submission: Submission) -> list[int]:
    rows = submission.source.get("meta_rows") or []
    return [int(row) for row in rows] or list(range(2, submission.meta.height + 2))


def _scenarios(submission: Submission) -> Iterator[Problem]:
    """Look at the pairs of model and scenario: incomplete, doubled, or without data."""
    known = set(submission.data.select("model", "scenario").unique().iter_rows())
    places: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    pairs = submission.meta.select("model", "scenario").iter_rows()
    for row, pair in zip(_meta_rows(submission), pairs, strict=True):
        if None in pair:
            name = "model" if pair[0] is None else "scenario"
            message = f"The {name} is missing in a row of the meta sheet."
            yield submission.meta_problem("missing_name", message, [row], field=name)
        else:
            places[pair].append(row)
    for pair, rows in places.items():
        shown = " / ".join(pair)
        if len(rows) > 1:
            message = f"The meta sheet has {len(rows)} rows for {shown}: keep one."
            yield submission.meta_problem("duplicate_meta", message, rows, value=shown)
        if pair not in known:
            message = f"{shown} has meta indicators but no data: they are not stored."
            yield submission.meta_problem(
                "meta_without_data", message, rows, value=shown, severity="warning"
            )
