"""The database: SQLite or PostgreSQL, and transactions that do what they say on both."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from runner.errors import JobRunnerError

_BUSY = 60  # seconds that a writer waits for another
_LOCK = text("SELECT pg_advisory_xact_lock(hashtext(:name))")


class DatabaseAway(JobRunnerError):
    """The database does not answer."""

    code = "database_unavailable"
    status = 503


class Database:
    """An engine with the two kinds of transactions that the service uses.

    Parameters
    ----------
    url : str
        ``sqlite:///PATH`` or ``postgresql+psycopg://…`` (``postgresql://…`` means the same).
    """

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.url = parsed
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = _engine(parsed, self.is_sqlite)
        self._writing = self.engine.execution_options(jobrunner_immediate=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session whose reads see one state of a SQLite database; nothing is kept."""
        with _unavailable(), Session(self.engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session in a transaction that is committed at the end of the block.

        On SQLite it is the only writer from the start (``BEGIN IMMEDIATE``): what it reads stays
        true until it commits. On PostgreSQL lock the rows (``with_for_update``) or use `exclusive`.
        """
        session = Session(self._writing, expire_on_commit=False)
        with _unavailable(), session, session.begin():
            yield session

    @contextmanager
    def exclusive(self, name: str) -> Iterator[Session]:
        """Give a writing session that only one process at a time has for `name`."""
        with self.write() as session:
            lock(session, name)
            yield session

    @contextmanager
    def changing_tables(self) -> Iterator[Connection]:
        """Give the one connection that may change tables now; all of it is kept, or nothing.

        SQLite does not look at foreign keys meanwhile: to change a table there is to make it anew,
        and to drop the old one would take along the rows that refer to it.
        """
        with _unavailable(), self._writing.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None  # it is connected
            if self.is_sqlite:
                raw.execute("PRAGMA foreign_keys=OFF")  # has no effect within a transaction
            try:
                with connection.begin():
                    if not self.is_sqlite:
                        connection.execute(_LOCK, {"name": "jobrunner:tables"})
                    yield connection
            finally:
                if self.is_sqlite:
                    raw.execute("PRAGMA foreign_keys=ON")

    def forget(self) -> None:
        """Leave the connections to the process that this one was forked from."""
        self.engine.dispose(close=False)

    def ping(self) -> None:
        """Ask for a sign of life.

        Raises
        ------
        DatabaseAway
            If there is none.
        """
        with self.read() as session:
            session.execute(text("SELECT 1"))


def lock(session: Session, name: str) -> None:
    """Keep others from `name` until the transaction ends; on SQLite a writer is alone anyway."""
    if session.get_bind().dialect.name != "sqlite":
        session.execute(_LOCK, {"name": f"jobrunner:{name}"})


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "sqlite_errorname", None) == "SQLITE_ERROR":
            raise  # a wrong statement, or no such table; PostgreSQL has another class for these
        raise DatabaseAway(f"The database does not answer: {error.orig}") from error


def _engine(url: Any, is_sqlite: bool) -> Engine:
    if not is_sqlite:
        return create_engine(url, pool_pre_ping=True, pool_size=5, max_overflow=60)
    engine = create_engine(url, connect_args={"timeout": _BUSY}, pool_size=5, max_overflow=60)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    # FULL: what was answered with 202 survives a power cut
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    _use_wal(connection)


def _use_wal(connection: Any) -> None:
    """Have readers and writers not wait for each other; the file remembers it.

    SQLite does not wait by itself for others who switch a new file at the same moment.
    """
    deadline = time.monotonic() + _BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("jobrunner_immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
