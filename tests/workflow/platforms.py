"""Real platforms for tests: a PostgreSQL server of the session's own, and SQLite files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.workflow.warm import Warm, warm

PASSWORD = "s3cr3t/&?word"  # needs quoting in an address, and must appear nowhere
UPGRADE = (
    "import sys; from ixmp4.db import get_alembic_controller as c;"
    " c(sys.argv[1]).upgrade_database('head')"
)


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL server that listens on a Unix socket only."""

    folder: Path

    def dsn(self, database: str, user: str = "tester", password: str = PASSWORD) -> str:
        """Give the address as a profile has it."""
        login = f"{user}:{quote(password, safe='')}"
        return f"postgresql+psycopg://{login}@/{database}?host={self.folder}"

    def sql(self, database: str, *statements: str) -> list[tuple[object, ...]]:
        """Run statements as the superuser and give the rows of the last one."""
        with psycopg.connect(
            host=str(self.folder), dbname=database, user="tester", password=PASSWORD,
            autocommit=True,
        ) as connection:  # fmt: skip
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


def server_programs() -> Path | None:
    """Find the newest PostgreSQL server of the system."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Start a server for the session; it ends by its process id."""
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="jobrunner-pg-"))  # short: sockets allow 107 characters
    account: dict[str, str] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        account = {"user": "postgres", "group": "postgres"}
    words = folder / "password"
    words.write_text(PASSWORD)
    words.chmod(0o644)
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "tester", "-A", "scram-sha-256",
         f"--pwfile={words}", "-E", "UTF8", "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, cwd=folder, **account,
    )  # fmt: skip
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=",
             "-c", "fsync=off", "-c", "max_connections=30"],
            stdout=log, stderr=log, cwd=folder, **account,
        )  # fmt: skip
    try:
        ready = [programs / "pg_isready", "-q", "-h", folder, "-t", "30"]
        while subprocess.run(ready).returncode != 0:
            assert server.poll() is None, (folder / "log").read_text()
        yield Server(folder)
    finally:
        server.send_signal(signal.SIGINT)  # "fast shutdown"
        server.wait()
        shutil.rmtree(folder)


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
