"""Platforms with data of all types, and the stages of snapshot on them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgresql import Server
from tests.workflow.warm import Warm, warm

SCRIPTS = Path(__file__).parents[2] / "workflow" / "snapshot" / "scripts"
PLATFORM = Path(__file__).with_name("snapshot_platform.py")
FORMATS = ("parquet", "csv", "csv_wide", "xlsx", "duckdb")


@pytest.fixture(scope="session")
def filled_sqlite(
    empty_sqlite: Path, ixmp4_warm: Warm, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Fill an SQLite platform once; tests copy it."""
    path = tmp_path_factory.mktemp("filled") / "filled.db"
    shutil.copy(empty_sqlite, path)
    answer = ixmp4_warm.run([PLATFORM, "fill", f"sqlite:///{path}"])
    assert answer.returncode == 0, answer.stderr
    return path


@pytest.fixture(scope="session")
def filled_template(postgres: Server, migrated: str, ixmp4_warm: Warm) -> str:
    """Fill a PostgreSQL platform once; tests copy it."""
    postgres.sql("postgres", f"CREATE DATABASE filled TEMPLATE {migrated}")
    answer = ixmp4_warm.run([PLATFORM, "fill", postgres.dsn("filled")])
    assert answer.returncode == 0, answer.stderr
    return "filled"


@pytest.fixture
def filled_postgres(postgres: Server, filled_template: str) -> Iterator[str]:
    """Give the address of a filled platform of the test's own."""
    postgres.sql("postgres", f"CREATE DATABASE mine TEMPLATE {filled_template}")
    yield postgres.dsn("mine")
    postgres.sql("postgres", "DROP DATABASE mine WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of a filled platform, on both databases."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("filled_postgres"))
    source = request.getfixturevalue("filled_sqlite")
    return f"sqlite:///{shutil.copy(source, tmp_path / 'platform.db')}"


@pytest.fixture(scope="session")
def snapshot_warm(stage_env: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """Give an interpreter of the stages view, write and bundle."""
    names = ("polars", "pyarrow.parquet", "sqlalchemy", "psycopg", "duckdb", "xlsxwriter",
             "adbc_driver_postgresql.dbapi")  # fmt: skip
    python = stage_env("snapshot") / "bin" / "python"
    with warm(python, tmp_path_factory.mktemp("warm"), *names) as waiting:
        yield waiting


class Stages:
    """The stages of a snapshot in a folder like a job directory."""

    def __init__(self, folder: Path, python: Warm, dsn: str) -> None:
        self.folder, self.python, self.dsn = folder, python, dsn
        self.results = folder / "results"

    def run(self, name: str, *options: Any, patch: str = "") -> subprocess.CompletedProcess[str]:
        """Run a stage's program; `patch` is code that runs in its process before it."""
        script = SCRIPTS / f"snapshot_{name}.py"
        if patch:
            text = f"import runpy, sys\nsys.path[:0] = [{str(SCRIPTS)!r}]\n"
            text += f"sys.path[:0] = [{str(SCRIPTS.parents[1] / 'common')!r}]\n{patch}\n"
            text += f"sys.argv[0] = {str(script)!r}\n"
            text += f"runpy.run_path({str(script)!r}, run_name='__main__')\n"
            script = self.folder / "patched.py"
            script.write_text(text)
        environment = {**os.environ, "JOBRUNNER_PLATFORM_DSN": self.dsn}
        environment.setdefault("JOBRUNNER_PLATFORM_WAIT", "0")
        words = [script, *options, "--error", self.folder / "error.json"]
        return self.python.run(words, environment)

    def view(self, *options: Any, patch: str = "") -> subprocess.CompletedProcess[str]:
        """Run stage view."""
        places = ("--output", self.folder / "view", "--problems", self.results)
        return self.run("view", *places, *options, patch=patch)

    def write(self, *formats: str, split_by: str = "none", patch: str = "") -> Any:
        """Run stage write."""
        f = self.folder
        return self.run(
            "write", "--view", f / "view", "--formats", *formats, "--split-by", split_by,
            "--scratch", f / "formats", "--output", self.results / "data",
            "--files", f / "files.json", patch=patch,
        )  # fmt: skip

    def bundle(self, patch: str = "") -> Any:
        """Run stage bundle."""
        f, r = self.folder, self.results
        return self.run(
            "bundle", "--view", f / "view", "--data", r / "data", "--files", f / "files.json",
            "--job", "J1", "--manifest", r / "manifest.json", "--meta", r / "meta.xlsx",
            "--readme", r / "README.txt", "--zip", r / "snapshot.zip", patch=patch,
        )  # fmt: skip

    @property
    def error(self) -> Any:
        """Give the error document."""
        return json.loads((self.folder / "error.json").read_text())

    @property
    def manifest(self) -> Any:
        """Give the manifest."""
        return json.loads((self.results / "manifest.json").read_text())

    def refused(self, *options: Any) -> Any:
        """Run stage view where it must fail; see that nothing is left of it."""
        answer = self.view(*options)
        assert answer.returncode == 1, answer.stdout + answer.stderr
        left = [path.name for path in self.folder.iterdir() if "view" in path.name]
        assert left == []
        return self.error


@pytest.fixture
def stages(tmp_path: Path, snapshot_warm: Warm, filled: str) -> Stages:
    """Give the stages on a filled platform."""
    return Stages(tmp_path, snapshot_warm, filled)


def good(answer: subprocess.CompletedProcess[str]) -> str:
    """Make sure that a stage succeeded; give what it printed."""
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout
