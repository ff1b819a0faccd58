"""The problem table: what is wrong with submitted data, where, and what to do about it."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from stagekit.files import whole, write_json

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the data, or worth knowing about it.

    Attributes
    ----------
    code : str
        What kind it is, for example ``unknown_region``.
    message : str
        One sentence: what is wrong and what to do.
    severity : {"error", "warning", "note"}
        An error stops the job; a warning says what was changed; a note is only early knowledge.
    file, sheet : str or None
        Where it stands; `sheet` is None for files without sheets.
    row : int or None
        First row as a spreadsheet counts (the first line is 1).
    rows : str or None
        All rows where it stands, as ``"12-40, 77"``.
    column : str or None
        Column letter as a spreadsheet shows it (for csv too).
    field : str or None
        The dimension or indicator concerned: ``region``, ``unit``, ``2030``, …
    value : str or None
        The offending value as it was read.
    suggestions : tuple of str
        Nearest valid values, best first.
    count : int
        How many cells or rows it concerns.
    """

    code: str
    message: str
    severity: Severity = "error"
    file: str | None = None
    sheet: str | None = None
    row: int | None = None
    rows: str | None = None
    column: str | None = None
    field: str | None = None
    value: str | None = None
    suggestions: tuple[str, ...] = ()
    count: int = 1


class StageError(Exception):
    """A stage cannot go on.

    Parameters
    ----------
    code : str
        Short machine-readable name of the error.
    message : str
        What was wrong and what to do, for a person.
    problems : iterable of Problem
        The single problems behind it.
    """

    def __init__(self, code: str, message: str, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.problems = list(problems)


def ranges(rows: Iterable[int]) -> str:
    """Write row numbers compactly: ``[1, 2, 3, 7]`` becomes ``"1-3, 7"``."""
    spans: list[list[int]] = []
    for row in sorted(set(rows)):
        if spans and row == spans[-1][1] + 1:
            spans[-1][1] = row
        else:
            spans.append([row, row])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def at_most(problems: Iterable[Problem], n: int) -> list[Problem]:
    """Keep the first `n` problems of each code, in order."""
    seen: Counter[str] = Counter()
    kept = []
    for problem in problems:
        seen[problem.code] += 1
        if seen[problem.code] <= n:
            kept.append(problem)
    return kept


def record(
    folder: Path, stage: str, problems: Iterable[Problem], after: Iterable[str] = ()
) -> None:
    """Set what `stage` found in ``problems.json`` and ``problems.csv``.

    What the stages named in `after` found stays; everything else is forgotten, so that a rerun
    never shows problems of data that no longer exist.

    Parameters
    ----------
    folder : Path
        Where the two files live (the job's ``results/``).
    stage : str
        Name of the stage.
    problems : iterable of Problem
        All problems, not only those that a message lists.
    after : iterable of str
        The stages that ran before this one.
    """
    target = folder / "problems.json"
    rows: list[dict[str, Any]] = []
    if target.is_file():
        earlier = json.loads(target.read_text(encoding="utf-8"))
        rows = [row for row in earlier if row["stage"] in set(after) - {stage}]
    rows += [{"stage": stage, **asdict(problem)} for problem in problems]
    write_json(target, rows)
    columns = ["stage", *(f.name for f in fields(Problem))]
    with whole(folder / "problems.csv") as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "suggestions": "; ".join(row["suggestions"])})
