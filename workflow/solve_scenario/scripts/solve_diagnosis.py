"""Why a model has no optimal solution, in the names of its constraints and variables.

All questions are put to HiGHS, whichever solver was asked to solve: an irreducible infeasible
subset (O. Guieu and J. W. Chinneck, INFORMS Journal on Computing 11, 1999) for an infeasible
linear model, a ray along which the objective improves for an unbounded one. HiGHS finds no such
subset where only integers make a model infeasible; there whole constraints, with all their
coordinates, are left out in turn (a deletion filter), and those remain that are needed.
"""

from __future__ import annotations

import math
import re
import time
from typing import Any

import highspy
import numpy as np
from stagekit.problems import Problem, StageError

SECONDS = 30.0  # that a diagnosis may take
LISTED = 10  # constraints in a message
TERMS = 4  # of a constraint
MANY_GROUPS = 60  # constraints of a model; with more of them no deletion filter is tried
_NAME = re.compile(r"[^\[:(]*(?:\[.*?\])?")  # at the start of a constraint's line
_LOWER, _UPPER, _BOTH = 2, 3, 4  # highspy.IisBoundStatus
_INFEASIBLE = (
    highspy.HighsModelStatus.kInfeasible,
    highspy.HighsModelStatus.kUnboundedOrInfeasible,
)


class Diagnosis:
    """A model in HiGHS, with the names of its rows and columns."""

    def __init__(self, model: Any, seconds: float = SECONDS) -> None:
        self.model, self.deadline = model, time.monotonic() + seconds
        self.matrices = model.matrices
        self.highs = model.to_highspy()
        self.highs.setOptionValue("output_flag", False)
        self.highs.setOptionValue("threads", 1)

    def infeasible(self) -> StageError:
        """Give the error of an infeasible model."""
        rows, columns = self._subset()
        if rows or columns:
            lines = [self._row(row) for row in rows] + [self._bound(*c) for c in columns]
            size = "this constraint" if len(lines) == 1 else f"these {len(lines)} constraints"
            why = (
                f"The model is infeasible: {size} cannot hold together. Without any one of them the"
                " others could:"
            )
            return _error("infeasible", why, lines, "infeasible_constraint")
        groups = self._groups()
        if groups:
            lines = [n if count == 1 else f"{n} (all {count:,} of them)" for n, count in groups]
            whole = " for integers" if self._integers() else ""
            why = f"The model is infeasible: these constraints cannot hold together{whole}:"
            return _error("infeasible", why, lines, "infeasible_constraint")
        return StageError(
            "infeasible",
            "The model is infeasible: no values of its variables satisfy all of its constraints."
            f" The solver could not name those concerned within {SECONDS:.0f} seconds.",
        )

    def unbounded(self) -> StageError:
        """Give the error of an unbounded model."""
        ray = self._ray()
        moving = [] if ray is None else list(np.flatnonzero(np.abs(ray) > 1e-9))
        if not moving or ray is None:
            return StageError(
                "unbounded",
                "The model is unbounded: its objective can be improved without limit. The solver"
                " could not name the variables concerned. Is a constraint or a bound missing?",
            )
        direction = [f"{ray[c]:+.4g} {self._column(c)}" for c in moving]
        touched = np.unique(self.matrices.A.tocsc()[:, moving].nonzero()[0]).tolist()
        more = f" and {len(direction) - LISTED} more" if len(direction) > LISTED else ""
        why = (
            "The model is unbounded: its objective improves without limit along"
            f" {', '.join(direction[:LISTED])}{more}."
        )
        if not touched:
            return _error("unbounded", f"{why} No constraint contains these variables.", [], "")
        why += " These constraints contain them and do not limit them:"
        return _error("unbounded", why, [self._row(r) for r in touched], "unlimiting_constraint")

    def _integers(self) -> bool:
        return bool(np.isin(self.matrices.vtypes, ["B", "I"]).any())

    def _left(self) -> float:
        return max(self.deadline - time.monotonic(), 0.1)

    def _subset(self) -> tuple[list[int], list[tuple[int, int]]]:
        """Give the rows, and the columns with their kind of bound, of an infeasible subset."""
        if self.model.is_quadratic or not hasattr(self.highs, "getIis"):
            return [], []
        strategy = highspy.IisStrategy
        both = int(strategy.kIisStrategyFromLp) | int(strategy.kIisStrategyIrreducible)
        self.highs.setOptionValue("iis_strategy", both)  # by default it only looks for the obvious
        self.highs.setOptionValue("iis_time_limit", self._left())
        status, found = self.highs.getIis()
        if status == highspy.HighsStatus.kError or not found.valid_:
            return [], []
        bounds = [int(kind) for kind in found.col_bound_]
        columns = [
            (int(column), kind)
            for column, kind in zip(found.col_index_, bounds, strict=True)
            if kind in (_LOWER, _UPPER, _BOTH) and not self._trivial(int(column), kind)
        ]
        return [int(row) for row in found.row_index_], columns

    def _trivial(self, column: int, kind: int) -> bool:
        """Tell whether a bound is only that a variable is not negative: nobody would drop that."""
        return kind == _LOWER and self.matrices.lb[column] == 0

    def _groups(self) -> list[tuple[str, int]]:
        """Give the named constraints that are needed for the infeasibility, with their sizes."""
        labels = self.matrices.clabels
        if not len(labels) or len(self.model.constraints) > MANY_GROUPS:
            return []
        names = np.array([n for n, _ in self.model.constraints.get_label_position(list(labels))])
        needed: list[tuple[str, int]] = []
        for name in dict.fromkeys(names):
            rows = np.flatnonzero(names == name).astype(np.int32)
            free = np.full(len(rows), math.inf)
            before = self._bounds(rows)
            self.highs.changeRowsBounds(len(rows), rows, -free, free)
            self.highs.setOptionValue("time_limit", self.highs.getRunTime() + self._left())
            self.highs.run()
            if self.highs.getModelStatus() not in _INFEASIBLE:
                if self.highs.getModelStatus() == highspy.HighsModelStatus.kTimeLimit:
                    return []
                self.highs.changeRowsBounds(len(rows), rows, *before)
                needed.append((str(name), len(rows)))
        return needed

    def _bounds(self, rows: Any) -> tuple[Any, Any]:
        lp = self.highs.getLp()
        return np.array(lp.row_lower_)[rows], np.array(lp.row_upper_)[rows]

    def _ray(self) -> Any:
        """Give a direction in which the linear relaxation improves without limit."""
        columns = np.arange(len(self.matrices.vlabels), dtype=np.int32)
        continuous = np.zeros(len(columns), dtype=np.uint8)
        self.highs.changeColsIntegrality(len(columns), columns, continuous)
        settings = {"presolve": "off", "solver": "simplex", "time_limit": self._left()}
        for name, value in settings.items():
            self.highs.setOptionValue(name, value)
        self.highs.run()
        _, found, ray = self.highs.getPrimalRay()
        return np.array(ray) if found else None

    def _row(self, row: int) -> str:
        """Write a constraint: its name, its first terms and its limit."""
        terms = self.matrices.A.tocsr()[[row], :].tocoo()
        pairs = sorted(zip(terms.col.tolist(), terms.data.tolist(), strict=True))
        written = [f"{value:+.4g} {self._column(column)}" for column, value in pairs[:TERMS]]
        more = f" … ({len(pairs)} terms)" if len(pairs) > TERMS else ""
        sign = {"<": "≤", ">": "≥", "=": "="}[str(self.matrices.sense[row])[0]]
        name = self._label(self.model.constraints, self.matrices.clabels[row])
        return f"{name}: {' '.join(written)}{more} {sign} {self.matrices.b[row]:.6g}"

    def _bound(self, column: int, kind: int) -> str:
        lower, upper = self.matrices.lb[column], self.matrices.ub[column]
        name = self._column(column)
        text = {_LOWER: f"≥ {lower:.6g}", _UPPER: f"≤ {upper:.6g}"}
        return f"bound of {name}: {text.get(kind, f'from {lower:.6g} to {upper:.6g}')}"

    def _column(self, column: int) -> str:
        return self._label(self.model.variables, self.matrices.vlabels[column])

    @staticmethod
    def _label(parts: Any, label: Any) -> str:
        name, position = parts.get_label_position(int(label))
        where = ", ".join(str(value) for value in position.values())
        return f"{name}[{where}]" if where else str(name)


def _error(code: str, why: str, lines: list[str], problem: str) -> StageError:
    found = [Problem(problem, line, field=_name(line)) for line in lines]
    listed = [f"- {line}" for line in lines[:LISTED]]
    listed += [f"… and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return StageError(code, "\n".join([why, *listed]), found)


def _name(line: str) -> str:
    found = _NAME.match(line.removeprefix("bound of "))
    return found[0].strip() if found else line
