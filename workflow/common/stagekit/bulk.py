"""Sending many rows to PostgreSQL at once.

ixmp4 inserts datapoints row by row, and its version trigger writes a row into `transaction` for
each statement. The same rows sent as one COPY fire it once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

TABLES = ("iamc_datapoint_universal", "iamc_timeseries")
_INSERT = re.compile(
    rf"^INSERT INTO ({'|'.join(TABLES)}) \(([\w, ]+)\)"
    r" VALUES \(((?:%\((\w+)\)s(?:::[\w ]+)?(?:, )?)+)\)$"
)
_PARAMETER = re.compile(r"%\((\w+)\)s")


def copy_datapoints(engine: sa.Engine) -> None:
    """Let `engine` send plain multi-row inserts into the large tables as COPY."""
    if not sa.event.contains(engine, "do_executemany", _executemany):
        sa.event.listen(engine, "do_executemany", _executemany)


def _executemany(
    cursor: Any, statement: str, parameters: Sequence[dict[str, Any]], context: Any
) -> bool | None:
    found = _INSERT.match(statement)
    if found is None:
        return None
    table, columns, values = found.group(1, 2, 3)
    names = _PARAMETER.findall(values)
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        for row in parameters:
            copy.write_row([row[name] for name in names])
    return True  # done: SQLAlchemy does not execute the statement itself
