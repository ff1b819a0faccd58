"""The message of a failed check: what a person reads first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stagekit.problems import Problem, at_most


def summary(problems: Sequence[Problem], place: str, listed: int) -> str:
    """Write the errors among `problems`, at most `listed` of each kind.

    Parameters
    ----------
    problems : sequence of Problem
        All of them; warnings and notes are left out.
    place : str
        The sheet or file.
    listed : int
        How many of each kind to write.
    """
    errors = [problem for problem in problems if problem.severity == "error"]
    kinds = Counter(problem.code for problem in errors)
    counted = ", ".join(f"{count} {code}" for code, count in kinds.items())
    noun = "problem" if len(errors) == 1 else "problems"
    lines = [f"{len(errors)} {noun} in {place} ({counted}):"]
    shown = at_most(errors, listed)
    lines += [line(problem) for problem in shown]
    if len(shown) < len(errors):
        lines.append(f"… and {len(errors) - len(shown)} more.")
    lines.append("results/problems.csv has all of them. Correct the file and submit it again.")
    return "\n".join(lines)


def line(problem: Problem) -> str:
    """Write one problem as one line: where, then what."""
    where = [f"sheet {problem.sheet}"] if problem.sheet else []
    if problem.rows and problem.rows != str(problem.row):
        rows = problem.rows if len(problem.rows) <= 60 else problem.rows[:60] + "…"
        where.append(f"rows {rows}")
    elif problem.row is not None:
        where.append(f"row {problem.row}")
    if problem.column:
        where.append(f"column {problem.column}")
    return f"- {', '.join(where)}: {problem.message}" if where else f"- {problem.message}"
