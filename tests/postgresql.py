"""A real PostgreSQL server of the session's own, without a port: it listens on a Unix socket."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

PASSWORD = "s3cr3t/&?word"  # needs quoting in an address, and must appear nowhere


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server that listens on a Unix socket only."""

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
    with cluster() as server, running(server):
        yield server


@contextmanager
def cluster() -> Iterator[Server]:
    """Make the files of a server, not yet running; skip the test where there is no PostgreSQL."""
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="jobrunner-pg-"))  # short: sockets allow 107 characters
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        words = folder / "password"
        words.write_text(PASSWORD)
        words.chmod(0o644)
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "tester", "-A", "scram-sha-256",
             f"--pwfile={words}", "-E", "UTF8", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, cwd=folder, **_account(),
        )  # fmt: skip
        yield Server(folder)
    finally:
        shutil.rmtree(folder)


@contextmanager
def running(server: Server) -> Iterator[None]:
    """Run the server meanwhile; it ends by its process id, connections or not."""
    programs, folder = server_programs(), server.folder
    assert programs is not None  # `cluster` needed them, too
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses=",
             "-c", "fsync=off", "-c", "max_connections=100"],
            stdout=log, stderr=log, cwd=folder, **_account(),
        )  # fmt: skip
    try:
        ready = [programs / "pg_isready", "-q", "-h", folder, "-t", "30"]
        while subprocess.run(ready).returncode != 0:
            assert process.poll() is None, (folder / "log").read_text()
        yield
    finally:
        process.send_signal(signal.SIGINT)  # "fast shutdown"
        process.wait()


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    return {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
