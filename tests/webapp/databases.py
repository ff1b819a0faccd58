"""Databases of the service for tests: SQLite files and databases of a real PostgreSQL server.

A test that takes `database_url` (or `database`) runs once with each of the two.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.postgresql import Server
from webapp import migrate
from webapp.db import Database

BACKENDS = ("sqlite", "postgresql")
_TEMPLATE = "service_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no rows, to be copied."""
    path = tmp_path_factory.mktemp("database") / "template.db"
    database = Database(f"sqlite:///{path}")
    migrate.upgrade(database)
    database.engine.dispose()  # the last connection writes the WAL back into the file
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgres: Server) -> str:
    """Name of a PostgreSQL database with all tables and no rows, to be copied."""
    postgres.sql("postgres", f"CREATE DATABASE {_TEMPLATE}")
    database = Database(postgres.dsn(_TEMPLATE))
    migrate.upgrade(database)
    database.engine.dispose()
    return _TEMPLATE


@pytest.fixture
def new_database_url(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[str, bool], str]]:
    """Make databases of the test's own: of a backend, with the tables or empty."""
    made: list[tuple[Server, str]] = []

    def make(backend: str, tables: bool = True) -> str:
        number = next(_numbers)
        if backend == "sqlite":
            path = tmp_path / f"service-{number}.db"
            if tables:
                shutil.copy(request.getfixturevalue("sqlite_template"), path)
            return f"sqlite:///{path}"
        server: Server = request.getfixturevalue("postgres")
        name = f"service_{number}"
        source = request.getfixturevalue("postgresql_template") if tables else "template0"
        server.sql("postgres", f"CREATE DATABASE {name} TEMPLATE {source}")
        made.append((server, name))
        return server.dsn(name)

    yield make
    for server, name in made:
        server.sql("postgres", f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=BACKENDS)
def database_url(
    request: pytest.FixtureRequest, new_database_url: Callable[[str, bool], str]
) -> str:
    """Address of a database with the tables of this code and no rows."""
    return new_database_url(request.param, True)


@pytest.fixture(params=BACKENDS)
def empty_database_url(
    request: pytest.FixtureRequest, new_database_url: Callable[[str, bool], str]
) -> str:
    """Address of a database without any table."""
    return new_database_url(request.param, False)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the tables of this code and no rows."""
    database = Database(database_url)
    yield database
    database.engine.dispose()


@pytest.fixture
def empty_database(empty_database_url: str) -> Iterator[Database]:
    """A database without any table."""
    database = Database(empty_database_url)
    yield database
    database.engine.dispose()
