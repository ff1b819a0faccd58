"""Names against the platform, or, as notes only, against a repository's definitions."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import passthrough
import polars as pl
import psycopg
import pytest
from stagekit import program
from stagekit.platform_names import KNOWN_REVISIONS, PlatformNames, read_names
from stagekit.problems import StageError
from stagekit.units import for_platform

from tests.postgresql import PASSWORD, Server

from .submitting import HEADER, Read, check_error, codes, data_csv, run_check, run_read

ROWS = [
    ("m", "s", "World", "Primary Energy", "EJ/yr", 1, 2),
    ("m", "s", "Wrold", "Primary Energy", "EJ/yr", 1, 2),
    ("m", "s", "austria", "Primary Energy", "EJ/y", 1, 2),
    ("m", "s", "Wrold", "Final Energy", "dimensionless", 1, None),
]
REGIONS, UNITS = ["World", "Austria", "Australia"], ["EJ/yr", "Mt CO2/yr", ""]


def platform(path: Path, revision: str | None = "ad8eabea98b9", units: list[str] = UNITS) -> Path:
    """Write the tables of a platform that the check looks at."""
    with closing(sqlite3.connect(path)) as connection:
        if revision is not None:
            connection.execute("CREATE TABLE alembic_version (version_num)")
            connection.execute("INSERT INTO alembic_version VALUES (?)", [revision])
        for table, names in (("region", REGIONS), ("unit", units)):
            connection.execute(f"CREATE TABLE {table} (id INTEGER, name TEXT)")
            connection.executemany(f"INSERT INTO {table} VALUES (1, ?)", [[n] for n in names])
        connection.commit()
    return path


@pytest.fixture
def done(tmp_path: Path) -> Read:
    return run_read(data_csv(tmp_path / "x.csv", ROWS))


def found(problems: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    return {(p["code"], p["value"], p["row"], p["rows"], p["column"], p["count"]) for p in problems}


def test_each_unknown_name_is_one_problem_with_all_its_rows(done: Read, tmp_path: Path) -> None:
    problems = run_check(done, "--platform", f"--embedded={platform(tmp_path / 'p.db')}")
    assert found(problems) == {
        ("unknown_region", "Wrold", 3, "3, 5", "C", 2),
        ("unknown_region", "austria", 4, "4", "C", 1),
        ("unknown_unit", "EJ/y", 4, "4", "E", 1),
    }
    near = {p["value"]: p["suggestions"][0] for p in problems}
    assert near == {"Wrold": "World", "austria": "Austria", "EJ/y": "EJ/yr"}
    assert all(p["severity"] == "error" for p in problems)
    assert "Did you mean 'World'?" in problems[0]["message"]


def test_dimensionless_is_looked_up_as_it_is_stored(done: Read, tmp_path: Path) -> None:
    file = platform(tmp_path / "p.db", units=["EJ/yr", "EJ/y"])
    problems = run_check(done, f"--embedded={file}")
    assert ("unknown_unit", "dimensionless", 5, "5", "E", 1) in found(problems)


def test_where_names_are_created_unknown_ones_are_notes(done: Read, tmp_path: Path) -> None:
    file = platform(tmp_path / "p.db")
    problems = run_check(done, f"--embedded={file}", "--create-names")
    assert codes(problems) == ["new_region", "new_region", "new_unit"]
    assert {p["severity"] for p in problems} == {"note"}


def test_an_embedded_platform_that_is_not_there_yet_has_no_names(
    done: Read, tmp_path: Path
) -> None:
    file = tmp_path / "later.db"
    problems = run_check(done, f"--embedded={file}", "--create-names")
    assert len(problems) == 6
    assert {p["severity"] for p in problems} == {"note"}
    assert not file.exists()


@pytest.mark.parametrize("revision", ["0123456789ab", None])
def test_a_platform_of_unknown_version_is_left_to_stage_verify(
    done: Read, tmp_path: Path, revision: str | None
) -> None:
    file = platform(tmp_path / "p.db", revision)
    [note] = run_check(done, f"--embedded={file}")
    assert (note["code"], note["severity"]) == ("names_checked_later", "note")
    assert "verify" in note["message"]


def test_a_platform_behind_http_is_left_to_stage_verify(
    done: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(program.DSN_VARIABLE, "https://platform.example/v1/x")
    assert codes(run_check(done, "--platform")) == ["names_checked_later"]


def test_a_damaged_platform_is_one_clear_error(done: Read, tmp_path: Path) -> None:
    (tmp_path / "p.db").write_text("no database" * 100)
    error = check_error(done, f"--embedded={tmp_path / 'p.db'}")
    assert error.code == "platform_unavailable"
    assert "p.db" in error.message


def test_no_platform_at_all_is_one_clear_error(done: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(program.DSN_VARIABLE, raising=False)
    assert check_error(done, "--platform").code == "platform_unavailable"


def test_what_is_wrong_with_the_data_is_said_also_where_the_platform_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(program.DSN_VARIABLE, raising=False)
    done = run_read(data_csv(tmp_path / "x.csv", [*ROWS, ("m", "s", "World", "v", "EJ/yr", "x")]))
    error = check_error(done, "--platform")
    assert error.code == "invalid_data"
    assert codes([{"code": p.code} for p in error.problems]) == [
        "not_a_number",
        "platform_unavailable",
    ]


def test_an_unreachable_server_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dsn = f"postgresql+psycopg://jane:topsecret%21@/x?host={tmp_path}"
    monkeypatch.setenv(program.DSN_VARIABLE, dsn)
    with pytest.raises(StageError) as caught:
        read_names(dsn, None)
    assert caught.value.code == "platform_unavailable"
    assert "topsecret" not in caught.value.message
    assert caught.value.__cause__ is None


def test_what_a_driver_says_is_passed_on_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(address: str, **_: object) -> None:
        raise psycopg.OperationalError(f"cannot use {address}")

    dsn = "postgresql+psycopg://jane:topsecret%21@host/x"
    monkeypatch.setenv(program.DSN_VARIABLE, dsn)
    monkeypatch.setattr(psycopg, "connect", failing)
    with pytest.raises(StageError, match="cannot use postgresql") as caught:
        read_names(dsn, None)
    assert "topsecret" not in caught.value.message


def test_the_names_of_a_postgresql_platform_are_read(postgres: Server, postgres_dsn: str) -> None:
    postgres.sql(
        "platform",
        "INSERT INTO region (name, hierarchy) VALUES ('World', 'common')",
        "INSERT INTO unit (name) VALUES ('EJ/yr')",
    )
    names = read_names(postgres_dsn, None)
    assert names == PlatformNames(frozenset({"World"}), frozenset({"EJ/yr"}))


def test_a_wrong_password_is_refused_without_telling_it(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = postgres.dsn("postgres", password=PASSWORD + "x")
    monkeypatch.setenv(program.DSN_VARIABLE, dsn)
    with pytest.raises(StageError) as caught:
        read_names(dsn, None)
    assert PASSWORD not in caught.value.message
    assert "authentication failed" in caught.value.message


def test_the_version_of_ixmp4_in_use_is_known(sqlite_platform: Path) -> None:
    with closing(sqlite3.connect(sqlite_platform)) as connection:
        [(revision,)] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    assert revision in KNOWN_REVISIONS
    assert read_names(None, sqlite_platform) == PlatformNames(frozenset(), frozenset())


def repository(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_yaml", ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


REGION = "- common:\n  - World:\n      iso3: x\n  - Austria\n- m:\n  - m|Native\n"
VARIABLE = (
    "- Primary Energy:\n    unit: EJ/yr\n- Final Energy|{Sector}:\n    unit: EJ/yr\n- Share|*\n"
)
MAPPING = "model: m\nnative_regions:\n- Wrold: World\ncommon_regions:\n- World:\n  - austria\n"
DATA = [
    ("m", "s", "World", "Primary Energy", "EJ/yr", 1),
    ("m", "s", "Wrold", "Final Energy|Industry", "EJ/yr", 1),
    ("m", "s", "austria", "Share|Any|Thing", "EJ/yr", 1),
    ("m", "s", "Utopia", "Final Enrgy", "EJ/yr", 1),
]


def test_names_that_the_definitions_do_not_know_are_notes(tmp_path: Path) -> None:
    done = run_read(data_csv(tmp_path / "x.csv", DATA))
    checkout = repository(
        tmp_path / "r",
        definitions__region__a_yaml=REGION,
        definitions__variable__b_yaml=VARIABLE,
        definitions__variable__tag_s_yaml="- Sector:\n  - Industry: x\n",
        mappings__m_yaml=MAPPING,
    )
    problems = run_check(done, f"--definitions={checkout}")
    assert found(problems) == {
        ("not_in_definitions", "Utopia", 5, "5", "C", 1),
        ("not_in_definitions", "Final Enrgy", 5, "5", "D", 1),
    }
    assert {p["severity"] for p in problems} == {"note"}


@pytest.mark.parametrize(
    "files",
    [
        {"definitions__region__a_yaml": "- [:"},
        {"definitions__region__a_yaml": "World: 1"},
        {"definitions__region__a_yaml": REGION, "mappings__m_yaml": "- x"},
        {"definitions__region__a_yaml": "- a: 1\n  b: 2\n"},
        {
            "definitions__region__a_yaml": REGION,
            "nomenclature_yaml": "definitions:\n  region:\n    country: true\n",
        },
        {
            "definitions__region__a_yaml": REGION,
            "nomenclature_yaml": "mappings:\n  repository: common\n",
        },
        {"workflow.py": ""},
    ],
)
def test_where_definitions_are_not_understood_nothing_is_said(
    tmp_path: Path, files: dict[str, str]
) -> None:
    done = run_read(data_csv(tmp_path / "x.csv", DATA))
    assert run_check(done, f"--definitions={repository(tmp_path / 'r', **files)}") == []


def pass_through(done: Read) -> pl.DataFrame:
    names = {"output": "p.parquet", "processed-meta": "pm.parquet", "problems": "results"}
    options = [f"--{key}={done.folder / name}" for key, name in names.items()]
    inputs = [f"--input={done.folder / 'data.parquet'}", f"--meta={done.folder / 'meta.parquet'}"]
    passthrough.main(passthrough.parse([*inputs, *options]))
    return pl.read_parquet(done.folder / "p.parquet")


def test_passing_through_sorts_and_stores_dimensionless_as_ixmp4_wants_it(done: Read) -> None:
    run_check(done)
    frame = pass_through(done)
    assert frame.columns == ["model", "scenario", "region", "variable", "unit", "year", "value"]
    assert frame.rows() == sorted(frame.rows())
    assert frame.height == done.data.height
    assert set(frame["unit"]) == {"EJ/yr", "EJ/y", ""}
    problems = (done.folder / "results" / "problems.csv").read_text().splitlines()
    [warning] = problems[1:]
    assert warning.startswith("process,dimensionless_unit,")


def test_meta_of_scenarios_without_data_ends_here(tmp_path: Path) -> None:
    from .submitting import xlsx

    meta = [("Model", "Scenario", "x"), ("m", "t", 2), ("m", "s", 1)]
    done = run_read(xlsx(tmp_path / "x.xlsx", {"data": [HEADER, ROWS[0]], "meta": meta}))
    pass_through(done)
    assert pl.read_parquet(done.folder / "pm.parquet").rows() == [("m", "s", 1)]


def test_only_dimensionless_is_stored_under_another_name() -> None:
    assert for_platform("dimensionless") == ""
    assert [for_platform(u) for u in ("", "EJ/yr", "Dimensionless")] == [
        "",
        "EJ/yr",
        "Dimensionless",
    ]
