"""Tables as lines of JSON, whatever the database and the revision of its tables."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import IO, Any

from sqlalchemy import JSON, Connection, MetaData, Table, func, insert, select, text
from sqlalchemy.exc import SAWarning

from webapp.db import Database

# Not of the data: the revision is in the manifest, workers are processes of the moment.
_LEFT_OUT = ("alembic_version", "workers")
_MADE_BY_MIGRATION = ("schema_notes",)
_AT_ONCE = 1000  # rows


@contextmanager
def one_moment(database: Database) -> Iterator[Connection]:
    """Give a connection on which all that is read is of one moment; writers do not wait for it."""
    level = {} if database.is_sqlite else {"isolation_level": "REPEATABLE READ"}
    with database.read() as session:
        connection = session.connection(execution_options=level)
        connection.execute(text("SELECT 1 FROM alembic_version"))  # the moment is now
        yield connection


def reflected(connection: Connection) -> MetaData:
    """Give the tables as they are in the database, which may be of another version than we."""
    metadata = MetaData()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection", SAWarning)
        metadata.reflect(connection)
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type = JSON(none_as_null=True)
    return metadata


def of_data(metadata: MetaData) -> list[Table]:
    """Give the tables that a backup has; one that refers to another comes after it."""
    return [table for table in metadata.sorted_tables if table.name not in _LEFT_OUT]


def lines(connection: Connection, table: Table) -> Iterator[bytes]:
    """Give the rows of a table, each as a line, in the order of their keys."""
    query = select(table).order_by(*table.primary_key.columns)
    rows = connection.execute(query.execution_options(yield_per=_AT_ONCE))
    for row in rows.mappings():
        yield json.dumps(dict(row), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def fill(connection: Connection, table: Table, stream: IO[bytes] | Iterable[bytes]) -> int:
    """Put lines into a table, instead of what is in it; give how many."""
    connection.execute(table.delete())
    rows = (json.loads(line) for line in stream)
    number = 0
    while batch := list(islice(rows, _AT_ONCE)):
        connection.execute(insert(table), batch)
        number += len(batch)
    return number


def is_empty(database: Database) -> bool:
    """Tell whether there is nothing in a database that could be lost."""
    with database.read() as session:
        connection = session.connection()
        tables = of_data(reflected(connection))
        return not any(
            connection.scalar(select(func.count()).select_from(table))
            for table in tables
            if table.name not in _MADE_BY_MIGRATION
        )


def drop(connection: Connection) -> None:
    """Drop all tables."""
    reflected(connection).drop_all(connection)


def go_on_counting(connection: Connection, metadata: MetaData) -> None:
    """Have PostgreSQL give the next numbers after those that were put in."""
    for table in of_data(metadata):
        if "id" not in table.columns or connection.dialect.name == "sqlite":
            continue
        sequence = connection.scalar(text(f"SELECT pg_get_serial_sequence('{table.name}', 'id')"))
        if sequence is not None:
            last = connection.scalar(select(func.max(table.columns["id"])))
            connection.execute(select(func.setval(sequence, last or 1, last is not None)))


def revision_of(connection: Connection) -> str:
    """Give the revision of the tables."""
    found: Any = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return str(found)
