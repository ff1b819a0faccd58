"""One consistent view of an ixmp4 platform's tables, on PostgreSQL and on SQLite.

Both read everything in one transaction: what others commit meanwhile is not seen. ixmp4 itself is
not imported (it takes seconds, and gives whole tables as data frames); what is known here is the
schema up to ixmp4 0.17.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import polars as pl
import sqlalchemy as sa
from sqlalchemy import exc
from stagekit import patience, platform
from stagekit.platform_names import KNOWN_REVISIONS
from stagekit.problems import StageError

BATCH_ROWS = 65_536  # rows of an SQLite table that are Python objects at a time
BATCH_BYTES = 4_000_000  # about what one batch from PostgreSQL takes in memory
LOCK_SECONDS = 60.0  # how long a writer's commit may keep an SQLite file locked
Schema = Mapping[str, type[pl.DataType] | pl.DataType]
FACTS: Schema = {
    "id": pl.Int64,
    "year": pl.Int32,
    "subannual": pl.String,
    "time": pl.Datetime("us"),
    "value": pl.Float64,
}
_FACTS = (
    "SELECT time_series__id AS id, step_year AS year, step_category AS subannual,"
    " step_datetime AS time, value FROM iamc_datapoint_universal"
)
_SERIES = "SELECT id, run__id, region__id, measurand__id FROM iamc_timeseries"
_SERIES_TYPES = dict.fromkeys(("id", "run__id", "region__id", "measurand__id"), pl.Int64)
Condition = Mapping[str, Iterable[int]]


class Source(Protocol):
    """A platform in one transaction."""

    kind: str

    def table(self, query: str, schema: Schema) -> pl.DataFrame:
        """Give all rows of a small table."""
        ...

    def series(self, condition: Condition) -> pl.DataFrame:
        """Give ids of timeseries, runs, regions and measurands; `condition` allows ids."""
        ...

    def facts(self, condition: Condition) -> Iterator[pl.DataFrame]:
        """Give the datapoints of these timeseries in batches with the columns `FACTS`."""
        ...


@contextmanager
def opened(dsn: str, wait: float = LOCK_SECONDS) -> Iterator[Source]:
    """Open a platform for one consistent view.

    Parameters
    ----------
    dsn : str
        From `stagekit.platform.address`.
    wait : float
        Seconds to wait for a lock on an SQLite file.

    Raises
    ------
    StageError
        If it cannot be reached or read, or its tables are of a version that is not known.
    """
    url = sa.make_url(dsn)
    sqlite = url.get_backend_name() == "sqlite"
    if sqlite and not Path(str(url.database)).is_file():
        raise StageError("platform_missing", f"There is no platform file {url.database}.")
    with platform.explained(dsn):
        if sqlite:
            with _sqlite(Path(str(url.database)), wait) as source:
                yield source
        else:
            with _postgresql(dsn) as source:
                yield source


def revision(source: Source, dsn: str) -> str:
    """Give the revision of a platform's tables.

    Raises
    ------
    StageError
        ``platform_revision`` if there is none, or it is not known here.
    """
    tables = (
        "SELECT name FROM sqlite_master WHERE name = 'alembic_version'"
        if source.kind == "sqlite"
        else "SELECT 'alembic_version' AS name WHERE to_regclass('alembic_version') IS NOT NULL"
    )
    name = platform.shown(dsn)
    if source.table(tables, {"name": pl.String}).is_empty():
        raise StageError(
            "platform_revision", f"{name} is no ixmp4 platform: it has no table of versions."
        )
    rows = source.table("SELECT version_num FROM alembic_version", {"version_num": pl.String})
    found = ", ".join(rows["version_num"])
    if found not in KNOWN_REVISIONS:
        raise StageError(
            "platform_revision",
            f"The tables of {name} are at revision {found or 'none'}, which this version of the job"
            " type does not know: use a release of it that was made for that ixmp4.",
        )
    return found


@contextmanager
def _postgresql(dsn: str) -> Iterator[Source]:
    from adbc_driver_postgresql import dbapi

    uri = dsn.replace("+psycopg", "", 1)
    if "connect_timeout=" not in uri:
        uri += f"{'&' if '?' in uri else '?'}connect_timeout={platform.CONNECT_SECONDS}"
    try:
        made = patience.keep_trying(
            lambda: dbapi.connect(uri),
            lambda error: isinstance(error, dbapi.Error) and patience.unanswered(str(error)),
        )
        with made as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute("SET LOCAL TimeZone = 'UTC'")
            yield PostgreSQL(connection)
    except dbapi.Error as error:  # as `explained` knows what a database says
        known = isinstance(error, dbapi.OperationalError)
        kind = exc.OperationalError if known else exc.DBAPIError
        raise kind("snapshot", None, error) from error


class PostgreSQL:
    """A repeatable-read transaction; rows come as Arrow batches of a binary COPY."""

    kind = "postgresql"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def table(self, query: str, schema: Schema) -> pl.DataFrame:
        """Give all rows of a small table."""
        parts = list(self._batches(query, schema))
        return pl.concat(parts) if parts else pl.DataFrame(schema=schema)

    def series(self, condition: Condition) -> pl.DataFrame:
        """Give ids of timeseries, runs, regions and measurands; `condition` allows ids."""
        return self.table(_SERIES + _where(condition, _array), _SERIES_TYPES)

    def facts(self, condition: Condition) -> Iterator[pl.DataFrame]:
        """Give the datapoints of these timeseries in batches with the columns `FACTS`."""
        chosen = _where(condition, _array)
        only = f" WHERE time_series__id IN (SELECT id FROM iamc_timeseries{chosen})"
        yield from self._batches(_FACTS + (only if chosen else ""), FACTS)

    def _batches(self, query: str, schema: Schema) -> Iterator[pl.DataFrame]:
        with self._connection.cursor() as cursor:
            size = {"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)}
            cursor.adbc_statement.set_options(**size)
            cursor.execute(query)
            for batch in cursor.fetch_record_batch():
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                yield frame.cast(pl.Schema(schema))


@contextmanager
def _sqlite(path: Path, wait: float) -> Iterator[Source]:
    # one that may be written to is opened so: a journal left by a crash must be played back
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    address = f"file:{quote(str(path.resolve()))}?mode={'rw' if writable else 'ro'}"
    try:
        made = sqlite3.connect(address, uri=True, timeout=wait, isolation_level=None)
        with closing(made) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            yield SQLite(connection)
    except sqlite3.Error as error:
        raise exc.DBAPIError("snapshot", None, error) from error


class SQLite:
    """A read transaction. Without a write-ahead log, commits of others wait for its end."""

    kind = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def table(self, query: str, schema: Schema) -> pl.DataFrame:
        """Give all rows of a small table."""
        rows = self._connection.execute(query).fetchall()
        return pl.DataFrame(rows, schema=dict(schema), orient="row")

    def series(self, condition: Condition) -> pl.DataFrame:
        """Give ids of timeseries, runs, regions and measurands; `condition` allows ids."""
        return self.table(_SERIES + _where(condition, _json), _SERIES_TYPES)

    def facts(self, condition: Condition) -> Iterator[pl.DataFrame]:
        """Give the datapoints of these timeseries in batches with the columns `FACTS`."""
        chosen = _where(condition, _json)
        only = f" WHERE time_series__id IN (SELECT id FROM iamc_timeseries{chosen})"
        cursor = self._connection.execute(_FACTS + (only if chosen else ""))
        schema = {**FACTS, "time": pl.String}
        while rows := cursor.fetchmany(BATCH_ROWS):
            frame = pl.DataFrame(rows, schema=schema, orient="row")
            yield frame.with_columns(pl.col("time").str.to_datetime("%Y-%m-%d %H:%M:%S%.f"))


def _where(condition: Condition, ids: Any) -> str:
    parts = [f"{column} {ids(values)}" for column, values in condition.items()]
    return " WHERE " + " AND ".join(parts) if parts else ""


def _array(values: Iterable[int]) -> str:
    return "= ANY('{" + ",".join(str(int(value)) for value in values) + "}'::bigint[])"


def _json(values: Iterable[int]) -> str:
    return f"IN (SELECT value FROM json_each('{json.dumps([int(value) for value in values])}'))"
