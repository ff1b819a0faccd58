"""Platforms with scenarios and indicators on them, on both databases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import Server
from tests.workflow.meta_case import SEED, MetaJob, copy_of, script
from tests.workflow.warm import Warm


@pytest.fixture(scope="session")
def seeded_sqlite(
    empty_sqlite: Path, ixmp4_warm: Warm, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Make an SQLite platform with scenarios once; tests copy it."""
    folder = tmp_path_factory.mktemp("seeded")
    path = Path(shutil.copy(empty_sqlite, folder / "seeded.db"))
    script(ixmp4_warm, folder, SEED, f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def seeded_postgres(
    postgres: Server, migrated: str, ixmp4_warm: Warm, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Make a PostgreSQL platform with the same scenarios once; tests copy it."""
    postgres.sql("postgres", f"CREATE DATABASE seeded TEMPLATE {migrated}")
    script(ixmp4_warm, tmp_path_factory.mktemp("seeded"), SEED, postgres.dsn("seeded"))
    return "seeded"


@pytest.fixture
def postgres_job(
    postgres: Server, seeded_postgres: str, tmp_path: Path, ixmp4_warm: Warm
) -> Iterator[MetaJob]:
    """Give a job on a PostgreSQL platform of its own."""
    postgres.sql("postgres", f"CREATE DATABASE indicators TEMPLATE {seeded_postgres}")
    yield MetaJob(tmp_path / "job", ixmp4_warm, postgres.dsn("indicators"))
    postgres.sql("postgres", "DROP DATABASE indicators WITH (FORCE)")


@pytest.fixture
def sqlite_job(seeded_sqlite: Path, tmp_path: Path, ixmp4_warm: Warm) -> MetaJob:
    """Give a job on an SQLite platform of its own."""
    return MetaJob(tmp_path / "job", ixmp4_warm, copy_of(seeded_sqlite, tmp_path))


@pytest.fixture(params=["sqlite", "postgresql"])
def meta_job(request: pytest.FixtureRequest) -> MetaJob:
    """Give a job on each database in turn."""
    name = "sqlite_job" if request.param == "sqlite" else "postgres_job"
    made: MetaJob = request.getfixturevalue(name)
    return made
