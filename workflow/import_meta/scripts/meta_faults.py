"""What is wrong with a table of meta indicators, whatever the platform holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from meta_submission import Row, Submission
from stagekit.indicators import key_fault, value_fault
from stagekit.problems import Problem

MODES = ("merge", "replace", "remove")
_INDEX = ("model", "scenario", "version")


def faults(submission: Submission, mode: str) -> Iterator[Problem]:
    """Give all problems that need no platform.

    Parameters
    ----------
    submission : Submission
    mode : {"merge", "replace", "remove"}
        What is removed may have any value.
    """
    yield from _incomplete(submission)
    yield from _versions(submission)
    yield from _doubled(submission)
    yield from _keys(submission)
    if mode != "remove":
        yield from _values(submission)
    if submission.rows and not submission.values and mode != "replace":
        text = f"No cell of {submission.place} holds a value: there is nothing to do."
        yield submission.problem("no_data", text, [row.number for row in submission.rows])


def _complete(row: Row) -> bool:
    """Tell whether a row names a run."""
    return bool(row.model and row.scenario) and not _wrong_version(row)


def _wrong_version(row: Row) -> bool:
    if row.version is None:
        return False
    return not (row.version.isascii() and row.version.isdigit() and 0 < int(row.version) < 2**31)


def _incomplete(submission: Submission) -> Iterator[Problem]:
    for name in ("model", "scenario"):
        rows = [row.number for row in submission.rows if not getattr(row, name)]
        if rows:
            text = f"The {name} is missing in {_rows(rows)}: write it or delete the row."
            yield submission.problem("missing_name", text, rows, name)


def _versions(submission: Submission) -> Iterator[Problem]:
    for row in submission.rows:
        if _wrong_version(row):
            text = (
                f"The version of {row.model} / {row.scenario} is {str(row.version)[:40]!r}: write a"
                " whole number from 1, or leave the cell empty for the default version."
            )
            yield submission.problem("wrong_version", text, [row.number], "version", row.version)


def _doubled(submission: Submission) -> Iterator[Problem]:
    places: defaultdict[tuple[str | None, ...], list[Row]] = defaultdict(list)
    for row in submission.rows:
        if _complete(row):
            places[row.model, row.scenario, row.version].append(row)
    for rows in places.values():
        if len(rows) > 1:
            numbers = [row.number for row in rows]
            text = f"{rows[0].shown} stands in {len(rows)} rows: keep one."
            yield submission.problem("duplicate_meta", text, numbers, value=rows[0].shown)


def _keys(submission: Submission) -> Iterator[Problem]:
    indicators = [name for name in submission.source["columns"] if name not in _INDEX]
    for name in dict.fromkeys([*indicators, *submission.keys]):
        if text := key_fault(name):
            header = [submission.source["header_row"]] if submission.source["header_row"] else []
            rows = header or [n for n, values in submission.values.items() if name in values]
            yield submission.problem("illegal_meta_key", text, rows, name, name[:200])


def _values(submission: Submission) -> Iterator[Problem]:
    for number, values in submission.values.items():
        for key, value in values.items():
            if fault := value_fault(value):
                text = f"The value of {key!r} {fault}."
                yield submission.problem(
                    "illegal_meta_value", text, [number], key, str(value)[:200]
                )


def _rows(rows: list[int]) -> str:
    return f"row {rows[0]}" if len(rows) == 1 else f"{len(rows)} rows"
