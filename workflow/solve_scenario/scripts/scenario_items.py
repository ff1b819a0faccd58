"""The optimisation items of a run, read straight from the platform's database in one view of it.

What is known here is the schema of ixmp4 0.17, which `stagekit.platform.ready` makes sure of:
``opt_idx``, ``opt_sca``, and for tables, parameters, variables and equations one table each, with
the data as JSON and the index sets in an association table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from stagekit.nearest import did_you_mean, nearest
from stagekit.problems import StageError

INDEXED = {
    "tables": ("opt_tab", "table__id"),
    "parameters": ("opt_par", "parameter__id"),
    "variables": ("opt_var", "variable__id"),
    "equations": ("opt_equ", "equation__id"),
}
GIVEN = ("indexsets", "scalars", "tables", "parameters")  # what a solution depends on
_TYPES: dict[str, Callable[[str], Any]] = {"INT": int, "FLOAT": float, "STR": str}
Items = dict[str, Any]


def find_run(
    connection: sa.Connection, model: str, scenario: str, version: int | None
) -> dict[str, Any]:
    """Give ``id``, ``model``, ``scenario`` and ``version`` of a run.

    Raises
    ------
    StageError
        ``unknown_model``, ``unknown_scenario``, ``unknown_version`` with the nearest names, or
        ``no_default_version``.
    """
    models = _column(connection, "SELECT name FROM model")
    if model not in models:
        near = did_you_mean(nearest(model, models))
        raise StageError("unknown_model", f"The platform has no model {model!r}.{near}")
    rows = connection.execute(
        sa.text(
            "SELECT run.id, scenario.name, run.version, run.is_default FROM run"
            " JOIN model ON model.id = run.model__id"
            " JOIN scenario ON scenario.id = run.scenario__id"
            " WHERE model.name = :model ORDER BY run.version"
        ),
        {"model": model},
    ).all()
    names = sorted({row[1] for row in rows})
    if scenario not in names:
        near = did_you_mean(nearest(scenario, names))
        raise StageError("unknown_scenario", f"{model!r} has no scenario {scenario!r}.{near}")
    versions = {row[2]: row for row in rows if row[1] == scenario}
    listed = ", ".join(str(number) for number in versions)
    chosen = version or next((row[2] for row in versions.values() if row[3]), None)
    if chosen is None:
        raise StageError(
            "no_default_version",
            f"{model!r}, {scenario!r} has no default version. Name one of its versions: {listed}.",
        )
    if chosen not in versions:
        raise StageError(
            "unknown_version",
            f"{model!r}, {scenario!r} has no version {chosen}. Its versions are: {listed}.",
        )
    return {
        "id": versions[chosen][0], "model": model, "scenario": scenario, "version": chosen,
    }  # fmt: skip


def read_items(connection: sa.Connection, run: dict[str, Any]) -> Items:
    """Give all optimisation items of a run.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Its transaction is the view: items read belong together.
    run : dict
        From `find_run`.

    Returns
    -------
    dict
        ``run``; ``indexsets`` (lists by name); ``scalars`` (``value`` and ``unit`` by name);
        ``tables``, ``parameters``, ``variables``, ``equations``: by name ``columns``,
        ``indexsets`` and ``data`` (lists by column).
    """
    items: Items = {"run": run, "indexsets": _indexsets(connection, run["id"])}
    scalars = connection.execute(
        sa.text(
            "SELECT opt_sca.name, opt_sca.value, unit.name FROM opt_sca"
            " JOIN unit ON unit.id = opt_sca.unit__id WHERE opt_sca.run__id = :run ORDER BY 1"
        ),
        {"run": run["id"]},
    )
    items["scalars"] = {name: {"value": value, "unit": unit} for name, value, unit in scalars}
    for kind, (table, key) in INDEXED.items():
        items[kind] = _indexed(connection, table, key, run["id"])
    return items


def digest(items: Items) -> str:
    """Give a digest of what a solution depends on; solutions in the run do not change it."""
    text = json.dumps({kind: items[kind] for kind in GIVEN}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _indexsets(connection: sa.Connection, run: int) -> dict[str, list[Any]]:
    rows = connection.execute(
        sa.text(
            "SELECT opt_idx.name, opt_idx.data_type, opt_idx_data.value FROM opt_idx"
            " LEFT JOIN opt_idx_data ON opt_idx_data.indexset__id = opt_idx.id"
            " WHERE opt_idx.run__id = :run ORDER BY opt_idx.id, opt_idx_data.id"
        ),
        {"run": run},
    )
    found: dict[str, list[Any]] = {}
    for name, kind, value in rows:
        elements = found.setdefault(name, [])
        if value is not None:
            elements.append(_TYPES[kind](value))
    return found


def _indexed(connection: sa.Connection, table: str, key: str, run: int) -> dict[str, Any]:
    columns: dict[int, list[tuple[str, str]]] = {}
    associations = connection.execute(
        sa.text(
            f"SELECT a.{key}, opt_idx.name, a.column_name FROM {table}_idx_association AS a"
            f" JOIN opt_idx ON opt_idx.id = a.indexset__id JOIN {table} ON {table}.id = a.{key}"
            f" WHERE {table}.run__id = :run ORDER BY a.id"
        ),
        {"run": run},
    )
    for item, indexset, column in associations:
        columns.setdefault(item, []).append((column or indexset, indexset))
    rows = connection.execute(
        sa.text(f"SELECT id, name, data FROM {table} WHERE run__id = :run ORDER BY name"),
        {"run": run},
    )
    return {
        name: {
            "columns": [column for column, _ in columns.get(number, [])],
            "indexsets": [indexset for _, indexset in columns.get(number, [])],
            "data": json.loads(data) if isinstance(data, str) else data,
        }
        for number, name, data in rows
    }


def _column(connection: sa.Connection, query: str) -> list[str]:
    return list(connection.execute(sa.text(query)).scalars())
