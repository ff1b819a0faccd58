"""The solution of a model as one table, with levels and marginals in the platform's sense.

A level is the value of a variable, or of a constraint's left-hand side. A marginal is the change of
the objective per unit of a constraint's right-hand side, or of a variable's bound that holds it
(its reduced cost): the same in minimisation and maximisation, as GAMS and the ixmp4 tutorial have
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from stagekit.problems import StageError

COLUMNS = ["kind", "name", "level", "marginal"]
KINDS = ("variables", "equations")


def statistics(model: Any, solver: str) -> dict[str, Any]:
    """Give what the solver tells of its work: ``gap``, ``bound``, ``iterations``, ``nodes``."""
    found: dict[str, Any] = dict.fromkeys(("gap", "bound", "iterations", "nodes"))
    found |= {"solver": solver, "sense": str(model.objective.sense)}
    highs = model.solver_model
    if not hasattr(highs, "getInfo"):
        return found
    info = highs.getInfo()
    iterations = info.simplex_iteration_count, info.ipm_iteration_count, info.pdlp_iteration_count
    found |= {
        "solver": f"HiGHS {highs.version()}",
        "iterations": sum(max(n, 0) for n in iterations),
    }
    if info.mip_node_count >= 0:
        found |= {
            "nodes": int(info.mip_node_count),
            "gap": _finite(info.mip_gap),
            "bound": _finite(info.mip_dual_bound),
        }
    elif str(model.termination_condition) == "optimal":
        found["gap"] = 0.0
    return found


def violation(model: Any) -> float:
    """Give by how much the solution violates a constraint, bound or integrality, at most.

    Relative to the size of the limit where that is above 1; infinite if there is no solution.
    """
    matrices = model.matrices
    try:
        values = np.asarray(matrices.sol, dtype=float)
    except (AttributeError, ValueError):
        return float("inf")
    if not len(values) or not np.isfinite(values).all():
        return float("inf")
    worst = [matrices.lb - values, values - matrices.ub]
    if matrices.A is not None:
        side, signs = (
            matrices.A @ values - matrices.b,
            np.array([str(s)[0] for s in matrices.sense]),
        )
        over = np.where(signs == "<", side, np.where(signs == ">", -side, np.abs(side)))
        worst.append(over / np.maximum(1.0, np.abs(matrices.b)))
    whole = np.isin(matrices.vtypes, ["B", "I"])
    worst.append(np.abs(values - np.round(values))[whole])
    return max((float(np.max(part)) for part in worst if len(part)), default=0.0)


def table(model: Any, marginals: bool) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Give the solution of a linopy model.

    Parameters
    ----------
    model : linopy.Model
        Solved.
    marginals : bool
        Whether it has any; a model with integers has none, and zeros stand for them.

    Returns
    -------
    tuple
        The table, with a column ``index_1``, … per dimension, and what its parts are: ``kind``,
        ``name``, ``dimensions``, ``count``.
    """
    reduced = _reduced_costs(model) if marginals else None
    frames: list[pd.DataFrame] = []
    parts: list[dict[str, Any]] = []
    for name in model.variables:
        variable = model.variables[name]
        own = variable.labels.values
        costs = None if reduced is None else reduced.reindex(own.ravel()).to_numpy()
        frame = _frame(variable.coord_dims, variable.indexes, own, variable.solution.values, costs)
        _add(frames, parts, "variables", name, frame)
    for name in model.constraints:
        constraint = model.constraints[name]
        dims = constraint.coord_dims
        level = constraint.lhs.solution.transpose(*dims).values
        dual = constraint.dual.transpose(*dims).values if marginals else None
        own = constraint.labels.transpose(*dims).values
        _add(frames, parts, "equations", name, _frame(dims, constraint.indexes, own, level, dual))
    return _joined(frames), parts


def of_plugin(
    answer: Any, items: Any, plugin: Any, accept: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Take over the solution of a plug-in that solved its model itself.

    Raises
    ------
    StageError
        ``wrong_solution`` if it is not what `solve` has to give, ``wrong_names`` if it cannot be
        stored, or the status it ended with.
    """
    name = plugin.name
    if not isinstance(answer, dict) or "status" not in answer:
        raise StageError("wrong_solution", f"solve() of {name} gave no dict with a `status`.")
    status = str(answer["status"])
    if status != "optimal" and not (status == "feasible" and accept == "feasible"):
        message = str(answer.get("message") or f"{name} ended with the status {status!r}.")
        raise StageError(
            status if status in ("infeasible", "unbounded") else "not_optimal", message
        )
    if not isinstance(answer.get("objective"), int | float):
        raise StageError("wrong_solution", f"solve() of {name} gave no number as `objective`.")
    frames: list[pd.DataFrame] = []
    parts: list[dict[str, Any]] = []
    for kind in KINDS:
        for part, values in answer.get(kind, {}).items():
            _add(frames, parts, kind, part, _given(name, part, values))
    about = {key: answer.get(key) for key in ("gap", "bound", "iterations", "nodes")}
    return _joined(frames), {
        "status": status,
        "objective": float(answer["objective"]),
        "sense": str(answer.get("sense", "min")),
        "solver": str(answer.get("solver", name)),
        "marginals": bool(answer.get("marginals", True)),
        "parts": parts,
        "store": _targets(frames, items, plugin),
        **about,
    }


def _targets(frames: list[pd.DataFrame], items: Any, plugin: Any) -> dict[str, Any]:
    from model_names import targets_of

    parts: dict[str, Any] = {kind: {} for kind in KINDS}
    for frame in frames:
        dims = frame.attrs["dimensions"]
        elements = {dim: list(frame[f"index_{n}"].unique()) for n, dim in enumerate(dims, start=1)}
        parts[frame["kind"].iloc[0] if len(frame) else KINDS[0]][frame.attrs["name"]] = elements
    return targets_of(parts, items.content, plugin)


def _given(plugin: str, part: str, values: Any) -> pd.DataFrame:
    """Give what a plug-in returned for one variable or equation in our columns."""
    if isinstance(values, int | float):
        values = pd.Series([float(values)])
    if isinstance(values, pd.Series):
        values = values.to_frame("level")
    if not isinstance(values, pd.DataFrame) or "level" not in values:
        raise StageError(
            "wrong_solution",
            f"{part!r} in what solve() of {plugin} gave is no number, Series or DataFrame with a"
            " column `level`.",
        )
    dims = [] if values.index.names == [None] else [str(name) for name in values.index.names]
    frame = values.reset_index() if dims else values.reset_index(drop=True)
    marginal = frame.get("marginal", 0.0)
    found = pd.DataFrame({"level": frame["level"].astype(float), "marginal": marginal}) + 0.0
    for number, dim in enumerate(values.index.names if dims else [], start=1):
        found[f"index_{number}"] = frame[dim]
    found.attrs["dimensions"] = dims
    return found


def _reduced_costs(model: Any) -> pd.Series:
    """Give c + Q x - A'y by the variable's label: what a bound that holds a variable is worth."""
    matrices = model.matrices
    costs = np.array(matrices.c, dtype=float)
    if model.is_quadratic:
        costs = costs + matrices.Q @ np.asarray(matrices.sol, dtype=float)
    if matrices.A is not None:
        costs = costs - matrices.A.T @ np.nan_to_num(np.asarray(matrices.dual, dtype=float))
    costs[np.abs(costs) < 1e-12] = 0.0
    return pd.Series(costs, index=matrices.vlabels)


def _frame(dims: Any, indexes: Any, labels: Any, level: Any, marginal: Any) -> pd.DataFrame:
    """Give the values of one part, without those that the model masks."""
    level = np.asarray(level, dtype=float).ravel()
    found = pd.DataFrame({"level": level, "marginal": 0.0})
    if marginal is not None:
        found["marginal"] = np.nan_to_num(np.asarray(marginal, dtype=float).ravel())
    found += 0.0  # no negative zeros
    if dims:
        full = pd.MultiIndex.from_product([indexes[dim] for dim in dims])
        for number in range(len(dims)):
            found[f"index_{number + 1}"] = full.get_level_values(number)
    found = found[np.asarray(labels).ravel() >= 0]
    found.attrs["dimensions"] = [str(dim) for dim in dims]
    return found


def _add(
    frames: list[pd.DataFrame], parts: list[dict[str, Any]], kind: str, name: str, found: Any
) -> None:
    dims = found.attrs["dimensions"]
    found = found.assign(kind=kind, name=name)
    found.attrs |= {"dimensions": dims, "name": name}
    frames.append(found)
    parts.append({"kind": kind, "name": name, "dimensions": dims, "count": len(found)})


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    widest = max((len(frame.attrs["dimensions"]) for frame in frames), default=0)
    columns = [*COLUMNS, *(f"index_{number + 1}" for number in range(widest))]
    if not frames:
        return pd.DataFrame(columns=columns)
    plain: list[Mapping[str, Any]] = [frame.reindex(columns=columns) for frame in frames]
    for frame in plain:
        frame.attrs.clear()  # type: ignore[attr-defined]
    return pd.concat(plain, ignore_index=True)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
