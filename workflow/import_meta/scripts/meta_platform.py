"""The runs and meta indicators of a platform, read and written straight in its database.

Importing ixmp4 takes four seconds, and it writes indicators one by one. What is known here is the
schema up to ixmp4 0.17. The triggers that keep versions of each row on PostgreSQL work for each
statement, whoever sends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from stagekit import platform
from stagekit.platform_names import KNOWN_REVISIONS
from stagekit.problems import StageError

Value = bool | int | float | str
CHUNK = 1000  # rows of a statement; SQLite takes 32,766 parameters, an indicator has seven
NEEDED = ("runmetaentry", "checkpoint")  # tables that are written
VERSIONED = ("runmetaentry_version", "transaction")  # by the triggers of PostgreSQL

_MODEL = sa.table("model", sa.column("id"), sa.column("name"))
_SCENARIO = sa.table("scenario", sa.column("id"), sa.column("name"))
_RUN = sa.table(
    "run", sa.column("id"), sa.column("model__id"), sa.column("scenario__id"),
    sa.column("version"), sa.column("is_default", sa.Boolean), sa.column("lock_transaction"),
)  # fmt: skip
_ENTRY = sa.table(
    "runmetaentry", sa.column("id", sa.Integer), sa.column("run__id", sa.Integer),
    sa.column("key", sa.String), sa.column("dtype", sa.String),
    sa.column("value_int", sa.Integer), sa.column("value_str", sa.String),
    sa.column("value_float", sa.Float(53)), sa.column("value_bool", sa.Boolean),
)  # fmt: skip
_CHECKPOINT = sa.table(
    "checkpoint", sa.column("run__id", sa.Integer), sa.column("transaction__id", sa.Integer),
    sa.column("message", sa.String),
)  # fmt: skip
_COLUMNS: dict[type, tuple[str, str]] = {  # by ixmp4.data.meta.type
    bool: ("BOOL", "value_bool"),
    int: ("INT", "value_int"),
    float: ("FLOAT", "value_float"),
    str: ("STR", "value_str"),
}
_BY_TYPE = {name: (kind, column) for kind, (name, column) in _COLUMNS.items()}
_T = TypeVar("_T")


@dataclass(frozen=True)
class Run:
    """A run of the platform."""

    id: int
    model: str
    scenario: str
    version: int
    is_default: bool


def check_schema() -> None:
    """Make sure that the installed ixmp4 has the tables that are known here.

    Raises
    ------
    StageError
        ``platform_revision`` if not.
    """
    if unknown := platform.heads() - KNOWN_REVISIONS:
        raise StageError(
            "platform_revision",
            f"The tables of this ixmp4 ({', '.join(sorted(unknown))}) are newer than what this job"
            " type knows: use the ixmp4 of envs/ixmp4.yaml.",
        )


def runs(connection: sa.Connection) -> list[Run]:
    """Give all runs."""
    query = (
        sa.select(
            _RUN.c.id, _MODEL.c.name, _SCENARIO.c.name.label("scenario"), _RUN.c.version,
            _RUN.c.is_default,
        )
        .join_from(_RUN, _MODEL, _RUN.c.model__id == _MODEL.c.id)
        .join(_SCENARIO, _RUN.c.scenario__id == _SCENARIO.c.id)
        .order_by(_RUN.c.id)
    )  # fmt: skip
    return [Run(*row) for row in connection.execute(query)]


def indicators(connection: sa.Connection, ids: Sequence[int]) -> dict[int, dict[str, Value]]:
    """Give the indicators of each of some runs, with the types that ixmp4 gives them."""
    found: dict[int, dict[str, Value]] = {run: {} for run in ids}
    for part in _parts(ids):
        for row in connection.execute(sa.select(_ENTRY).where(_ENTRY.c.run__id.in_(part))):
            kind, column = _BY_TYPE[row.dtype]
            found[row.run__id][row.key] = kind(getattr(row, column))
    return found


def hold(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Keep others from changing runs until the transaction ends.

    Raises
    ------
    StageError
        ``run_locked`` if somebody is changing one: ixmp4 locks a run while it is worked on.
    """
    locked = []
    for part in _parts(sorted(ids)):
        query = sa.select(_RUN.c.id, _RUN.c.lock_transaction).where(_RUN.c.id.in_(part))
        rows = connection.execute(query.order_by(_RUN.c.id).with_for_update())
        locked += [row.id for row in rows if row.lock_transaction is not None]
    if not locked:
        return
    named = [f"{r.model} / {r.scenario} version {r.version}" for r in runs(connection)
             if r.id in set(locked)]  # fmt: skip
    shown = ", ".join(named[:10]) + (f" and {len(named) - 10} more" if len(named) > 10 else "")
    raise StageError(
        "run_locked",
        f"Somebody is changing {shown}, or a program that did so was killed: ixmp4 has locked it."
        " Nothing was stored. Continue the job when it is free.",
    )


def marked(connection: sa.Connection, marker: str) -> bool:
    """Tell whether a run has a checkpoint with this message."""
    query = sa.select(_CHECKPOINT.c.run__id).where(_CHECKPOINT.c.message == marker).limit(1)
    return connection.execute(query).first() is not None


def write(
    connection: sa.Connection,
    removed: Mapping[int, Sequence[str]],
    given: Mapping[int, Mapping[str, Value]],
    marker: str,
) -> None:
    """Remove and set indicators, and leave a checkpoint at each run, as ixmp4 does.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        In a transaction in which the runs are held.
    removed : mapping
        Names to remove, by run; also of those that get another value.
    given : mapping
        Indicators to set, by run; none of them is there.
    marker : str
        Message of the checkpoints.
    """
    for part in _parts([(run, key) for run, keys in removed.items() for key in keys]):
        both = sa.tuple_(_ENTRY.c.run__id, _ENTRY.c.key)
        connection.execute(sa.delete(_ENTRY).where(both.in_(part)))
    entries = [_entry(run, *item) for run, values in given.items() for item in values.items()]
    for rows in _parts(entries):
        connection.execute(sa.insert(_ENTRY).values(rows))
    latest = None
    if connection.dialect.name == "postgresql":  # SQLite has no versions of rows
        latest = connection.execute(sa.text("SELECT max(id) FROM transaction")).scalar()
    touched = sorted({*removed, *given})
    for ids in _parts(touched):
        points = [{"run__id": i, "transaction__id": latest, "message": marker} for i in ids]
        connection.execute(sa.insert(_CHECKPOINT).values(points))


def _entry(run: int, key: str, value: Value) -> dict[str, Any]:
    name, column = _COLUMNS[type(value)]
    empty = {other: None for _, other in _COLUMNS.values()}
    return {"run__id": run, "key": key, "dtype": name, **empty, column: value}


def _parts(rows: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]
