"""The message of a layer with problems: what a person reads first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stagekit.problems import Problem, at_most


def summary(errors: Sequence[Problem], file: str, listed: int) -> str:
    """Write errors, at most `listed` of each kind.

    Parameters
    ----------
    errors : sequence of Problem
        All of them.
    file : str
        Name of the layer's file.
    listed : int
        How many of each kind to write.
    """
    kinds = Counter(problem.code for problem in errors)
    counted = ", ".join(f"{count} {code}" for code, count in kinds.items())
    noun = "problem" if len(errors) == 1 else "problems"
    shown = at_most(errors, listed)
    lines = [f"{len(errors)} {noun} in {file} ({counted}):", *(line(one) for one in shown)]
    if len(shown) < len(errors):
        lines.append(f"… and {len(errors) - len(shown)} more.")
    lines.append("results/problems.csv has all of them. Correct the layer and submit it again.")
    return "\n".join(lines)


def line(problem: Problem) -> str:
    """Write one problem as one line: which shapes, then what."""
    if problem.rows is None:
        return f"- {problem.message}"
    rows = problem.rows if len(problem.rows) <= 60 else problem.rows[:60] + "…"
    noun = "shape" if rows.isdigit() else "shapes"
    column = f", column {problem.field}" if problem.field else ""
    return f"- {noun} {rows}{column}: {problem.message}"
