"""The tables of a database brought to what this code needs.

A change of `webapp.models` needs a revision: ``python -m webapp.migrate MESSAGE`` writes it, to be
read and corrected by a person. Alembic cannot see indexes over expressions on SQLite, and loses
them when it makes a table anew: write them down by hand; a test compares the outcome with the
models.

Versions of the service may work side by side while one replaces the other: a revision only adds
(nullable columns, tables, indexes), and what it would take away goes in the release after the next.
One that cannot keep to that sets the row ``oldest`` of ``schema_notes`` to itself: the oldest
revision whose code can work with its tables.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from runner.errors import JobRunnerError
from webapp.db import Database

_FOLDER = Path(__file__).with_name("migrations")


class WrongSchema(JobRunnerError):
    """A database whose tables are not those of this code."""

    code = "database_schema"
    status = 503


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the tables to those of this code, or to a given revision; nothing if they are there.

    All or nothing, and safe when several processes do it at once: one does, the others wait.

    Raises
    ------
    WrongSchema
        If newer code has changed the database.
    DatabaseAway
        If it does not answer.
    """
    if current(database) == head():
        return
    with database.changing_tables() as connection:
        if _suits(connection, _revision(connection)):
            return
        apply(connection, revision)


def apply(connection: Connection, revision: str = "head") -> None:
    """Bring tables to a revision on a connection of `Database.changing_tables`."""
    command.upgrade(_config(connection), revision)
    if connection.dialect.name == "sqlite":
        left = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        assert not left, f"rows that refer to nothing: {left[:5]}"


def check_known(revision: str) -> None:
    """Find out whether this code knows a revision.

    Raises
    ------
    WrongSchema
        If newer code has made it.
    """
    if revision not in {script.revision for script in _scripts().walk_revisions()}:
        raise WrongSchema(
            f"Revision {revision} of the tables is newer than this version of the service, which "
            f"knows up to {head()}. Install the newer version."
        )


def current(database: Database) -> str | None:
    """Give the revision of the database; None if it has no tables yet."""
    with database.read() as session:
        return _revision(session.connection())


def head() -> str:
    """Give the revision that this code needs."""
    found = _scripts().get_current_head()
    assert found is not None  # there is at least the first
    return found


def check(database: Database) -> None:
    """Compare the database's tables with what this code needs.

    Tables that a newer version has brought up do, if that version says so: the two then work side
    by side for as long as one replaces the other.

    Raises
    ------
    WrongSchema
        If they are older, or newer than this code can work with.
    DatabaseAway
        If it does not answer.
    """
    with database.read() as session:
        connection = session.connection()
        found = _revision(connection)
        if _suits(connection, found):
            return
    if found != head():
        raise WrongSchema(
            f"The database {_name(database)} has {_told(found)}, this version of the service "
            f"needs {head()}. Bring it up with: jobrunner migrate"
        )


def _suits(connection: Connection, found: str | None) -> bool:
    """Tell whether this code can work with the tables as they are.

    Raises
    ------
    WrongSchema
        If they are newer, and say that it cannot.
    """
    if found is None or found == head():
        return found is not None
    known = {script.revision for script in _scripts().walk_revisions()}
    if found in known:
        return False
    oldest = connection.scalar(text("SELECT value FROM schema_notes WHERE name = 'oldest'"))
    if oldest not in known:
        raise WrongSchema(
            f"The database has revision {found} of the tables, which is newer than this version "
            f"of the service (it knows up to {head()}). Install the newer version on this host, "
            "too; a database is never taken back."
        )
    return True


def _told(revision: str | None) -> str:
    return "no tables yet" if revision is None else f"revision {revision} of the tables"


def _name(database: Database) -> str:
    return database.url.render_as_string(hide_password=True)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(None))


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _write_revision(message: str) -> None:
    """Write the file of a new revision: what the models have and the last revision has not."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/new.db")
        upgrade(database)
        with database.changing_tables() as connection:
            number = len(list(_scripts().walk_revisions())) + 1
            config = _config(connection)
            command.revision(config, message, autogenerate=True, rev_id=f"{number:04d}")
        database.engine.dispose()


if __name__ == "__main__":
    _write_revision(sys.argv[1])
