"""VERIFY finds everything that a platform would refuse, before anything is written."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.postgresql import PASSWORD, Server
from tests.workflow.warm import Warm

SCRIPTS = Path(__file__).parents[2] / "workflow" / "import_timeseries" / "scripts"
KEYS = ["model", "scenario", "region", "variable", "unit"]
ROW = ("m", "s", "World", "Price", "EUR", 2020, 1.0)


class Stage:
    """The stage VERIFY on a platform."""

    def __init__(self, folder: Path, python: Warm) -> None:
        self.folder, self.python, self.dsn = folder, python, ""
        self.embedded: Path | None = None

    def run(
        self, rows: list[tuple[Any, ...]], *more: str, meta: dict[str, Any] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Verify rows of data."""
        f = self.folder
        frame = pl.DataFrame(rows, schema=[*KEYS, "year", "value"], orient="row")
        frame.write_parquet(f / "processed.parquet")
        table = {"model": ["m"], "scenario": ["s"], **{k: [v] for k, v in (meta or {}).items()}}
        pl.DataFrame(table, strict=False).write_parquet(f / "meta.parquet")
        (f / "source.json").write_text('{"file": "x.xlsx", "sheet": "data"}')
        environment = {**os.environ}
        if self.dsn:
            environment["JOBRUNNER_PLATFORM_DSN"] = self.dsn
        at = [f"--embedded={self.embedded}"] if self.embedded else []
        return self.python.run(
            [SCRIPTS / "verify.py", "--input", f / "processed.parquet",
             "--meta", f / "meta.parquet", "--source", f / "source.json",
             "--output", f / "verified.json", "--problems", f / "results",
             "--error", f / "error.json", *at, *more],
            environment,
        )  # fmt: skip

    @property
    def problems(self) -> list[tuple[str, str | None]]:
        """Give code and value of what was found."""
        found = json.loads((self.folder / "results" / "problems.json").read_text())
        return [(p["code"], p["value"]) for p in found]

    @property
    def error(self) -> Any:
        """Give the error document."""
        return json.loads((self.folder / "error.json").read_text())

    @property
    def verified(self) -> Any:
        """Give ``verified.json``."""
        return json.loads((self.folder / "verified.json").read_text())


@pytest.fixture
def stage(tmp_path: Path, ixmp4_warm: Warm, sqlite_platform: Path) -> Stage:
    """Give the stage on a platform that knows World and EUR."""
    made = Stage(tmp_path, ixmp4_warm)
    with sqlite3.connect(sqlite_platform) as connection:
        connection.execute("INSERT INTO region (name, hierarchy) VALUES ('World', 'common')")
        connection.execute("INSERT INTO unit (name) VALUES ('EUR')")
    connection.close()
    made.dsn = f"sqlite:///{sqlite_platform}"
    return made


def test_data_that_the_platform_takes_pass(stage: Stage) -> None:
    done = stage.run([ROW], meta={"Category": "C1", "exclude": False, "n": 3})
    assert done.returncode == 0, done.stderr
    assert stage.verified == {"create": {"regions": [], "units": []}, "warnings": []}


def test_every_unknown_region_and_unit_is_named_with_the_nearest(stage: Stage) -> None:
    rows = [
        ("m", "s", "Wrold", "Price", "EUR", 2020, 1.0),
        ("m", "s", "Mars", "P", "EU", 2020, 1.0),
    ]
    assert stage.run(rows).returncode == 1
    assert stage.problems == [
        ("unknown_region", "Mars"), ("unknown_region", "Wrold"), ("unknown_unit", "EU"),
    ]  # fmt: skip
    assert "Did you mean 'World'?" in stage.error["message"]
    assert stage.error["code"] == "data_refused"
    assert not (stage.folder / "verified.json").exists()


def test_names_that_may_be_created_are_listed_instead(stage: Stage) -> None:
    rows = [("m", "s", "Mars", "Price", "", 2020, 1.0), ROW]
    assert stage.run(rows, "--create-names").returncode == 0
    assert stage.verified["create"] == {"regions": ["Mars"], "units": [""]}
    assert stage.problems == []


def test_duplicates_and_values_that_are_no_numbers_are_found_together(stage: Stage) -> None:
    rows = [ROW, ROW, (*ROW[:5], 2030, float("nan")), (*ROW[:5], 2040, float("inf"))]
    assert stage.run(rows).returncode == 1
    assert sorted(stage.problems) == [
        ("duplicate", "m / s / World / Price / EUR / 2020"), ("not_a_number", "inf, nan"),
    ]  # fmt: skip


def test_an_empty_result_is_never_a_success(stage: Stage) -> None:
    assert stage.run([]).returncode == 1
    assert stage.problems == [("no_data", None)]


@pytest.mark.parametrize(
    ("meta", "code"),
    [
        ({"version": 1}, "illegal_meta_key"),
        ({"k" * 1024: 1}, "illegal_meta_key"),
        ({"text": "x" * 1024}, "illegal_meta_value"),
        ({"list": [1, 2]}, "illegal_meta_value"),
        ({"big": 2**31}, "illegal_meta_value"),
        ({"infinite": float("inf")}, "illegal_meta_value"),
    ],
)
def test_meta_that_a_platform_refuses_is_found(
    stage: Stage, meta: dict[str, Any], code: str
) -> None:
    assert stage.run([ROW], meta=meta).returncode == 1
    assert [found for found, _ in stage.problems] == [code]


def test_names_too_long_for_postgresql_are_found_everywhere(stage: Stage) -> None:
    assert stage.run([("m" * 256, *ROW[1:])]).returncode == 1
    assert stage.problems == [("name_too_long", "m" * 256)]


def test_what_earlier_stages_found_stays_in_the_table(stage: Stage) -> None:
    results = stage.folder / "results"
    results.mkdir()
    kept = [{"stage": "check", "code": "note", "value": None, "suggestions": []},
            {"stage": "import", "code": "old", "value": None, "suggestions": []}]  # fmt: skip
    (results / "problems.json").write_text(json.dumps(kept))
    assert stage.run([ROW]).returncode == 0
    assert stage.problems == [("note", None)]


def test_two_jobs_at_once_create_the_embedded_platform_once(
    tmp_path: Path, ixmp4_python: Path
) -> None:
    path = tmp_path / "new" / "platform.db"
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from stagekit import platform;"
        " from pathlib import Path; path = Path(sys.argv[2]);"
        " platform.ready(platform.address(path), embedded=True)"
    )
    command = [ixmp4_python, "-c", code, SCRIPTS.parents[1] / "common", path]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("creating the platform" in text for text in said) == [False, True]
    assert sorted(p.name for p in path.parent.iterdir()) == ["platform.db", "platform.db.lock"]


def test_an_older_embedded_platform_is_upgraded_and_any_other_refused(
    stage: Stage, sqlite_platform: Path, ixmp4_python: Path
) -> None:
    downgrade = (
        "import sys; from ixmp4.db import get_alembic_controller as c;"
        "c(sys.argv[1]).downgrade_database('-1')"
    )
    subprocess.run([ixmp4_python, "-c", downgrade, stage.dsn], check=True)
    assert stage.run([ROW]).returncode == 1
    assert stage.error["code"] == "platform_revision"
    stage.dsn, stage.embedded = "", sqlite_platform
    done = stage.run([ROW])
    assert done.returncode == 0, done.stderr
    assert "upgrading the platform" in done.stdout


def test_a_platform_file_that_is_not_there_is_not_made(tmp_path: Path, ixmp4_warm: Warm) -> None:
    stage = Stage(tmp_path, ixmp4_warm)
    stage.dsn = f"sqlite:///{tmp_path}/nowhere.db"
    assert stage.run([ROW]).returncode == 1
    assert stage.error["code"] == "platform_missing"
    assert not (tmp_path / "nowhere.db").exists()


def test_a_database_that_is_no_platform_is_refused(tmp_path: Path, ixmp4_warm: Warm) -> None:
    stage = Stage(tmp_path, ixmp4_warm)
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t (x)").connection.close()
    stage.dsn = f"sqlite:///{tmp_path}/other.db"
    assert stage.run([ROW]).returncode == 1
    assert stage.error["code"] == "platform_revision"


def test_a_reader_of_a_postgresql_platform_is_told_so_before_the_import(
    postgres: Server, postgres_dsn: str, tmp_path: Path, ixmp4_warm: Warm
) -> None:
    stage = Stage(tmp_path, ixmp4_warm)
    postgres.sql("postgres", "DROP ROLE IF EXISTS reader")
    postgres.sql(
        "platform", f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
    )  # fmt: skip
    stage.dsn = postgres.dsn("platform", user="reader")
    done = stage.run([ROW], "--create-names")
    assert (done.returncode, stage.error["code"]) == (1, "platform_rights")
    assert "run, iamc_timeseries" in stage.error["message"]
    assert PASSWORD not in done.stdout + done.stderr + json.dumps(stage.error)
    stage.dsn = postgres.dsn("platform")
    assert stage.run([ROW], "--create-names").returncode == 0
    postgres.sql("platform", "DROP OWNED BY reader", "DROP ROLE reader")


def test_without_a_platform_it_says_what_to_set(tmp_path: Path, ixmp4_warm: Warm) -> None:
    stage = Stage(tmp_path, ixmp4_warm)
    assert stage.run([ROW]).returncode == 1
    assert stage.error["code"] == "no_platform"
