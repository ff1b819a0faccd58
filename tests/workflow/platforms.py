"""Real platforms for tests: databases of a PostgreSQL server, and SQLite files."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import Server
from tests.workflow.warm import Warm, warm

UPGRADE = (
    "import sys; from ixmp4.db import get_alembic_controller as c;"
    " c(sys.argv[1]).upgrade_database('head')"
)


@pytest.fixture(scope="session")
def ixmp4_python(stage_env) -> Path:
    """Give the interpreter of the stages verify and import."""
    return stage_env("ixmp4") / "bin" / "python"


@pytest.fixture(scope="session")
def migrated(postgres: Server, ixmp4_python: Path) -> str:
    """Give the name of a database with ixmp4's tables, to be copied."""
    postgres.sql("postgres", "CREATE DATABASE migrated")
    subprocess.run([ixmp4_python, "-c", UPGRADE, postgres.dsn("migrated")], check=True)
    return "migrated"


@pytest.fixture
def postgres_dsn(postgres: Server, migrated: str) -> Iterator[str]:
    """Give the address of an empty ixmp4 platform on PostgreSQL."""
    postgres.sql("postgres", f"CREATE DATABASE platform TEMPLATE {migrated}")
    yield postgres.dsn("platform")
    postgres.sql("postgres", "DROP DATABASE platform WITH (FORCE)")


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory, ixmp4_python: Path) -> Path:
    """Make an empty SQLite platform once; tests copy it."""
    path = tmp_path_factory.mktemp("platform") / "empty.db"
    subprocess.run([ixmp4_python, "-c", UPGRADE, f"sqlite:///{path}"], check=True)
    return path


@pytest.fixture
def sqlite_platform(empty_sqlite: Path, tmp_path: Path) -> Path:
    """Give an empty SQLite platform of the test's own."""
    return Path(shutil.copy(empty_sqlite, tmp_path / "platform.db"))


@pytest.fixture(scope="session")
def ixmp4_warm(ixmp4_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """Give an interpreter of the stages verify and import that need not import ixmp4 again."""
    folder = tmp_path_factory.mktemp("warm")
    names = ("ixmp4", "ixmp4.db", "ixmp4.transport", "pandas", "pyarrow.parquet")
    with warm(ixmp4_python, folder, *names) as waiting:
        yield waiting
