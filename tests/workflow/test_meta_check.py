"""The diff before anything is written, and every problem of a table at once."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.postgresql import PASSWORD, Server
from tests.workflow.meta_case import MetaJob
from tests.workflow.submitting import xlsx
from tests.workflow.warm import Warm

ONE = {"model": "A", "scenario": "one"}


def _codes(job: MetaJob) -> list[tuple[str, Any]]:
    return sorted((p["code"], p["value"]) for p in job.problems)


def test_the_diff_says_what_would_change_and_nothing_is_written(meta_job: MetaJob) -> None:
    meta_job.records({**ONE, "Category": "C3", "n": 1, "x": 0.5, "new": True})
    before = meta_job.platform
    done = meta_job.check()
    assert done.returncode == 0, done.stderr
    assert meta_job.changes == [
        ("A / one / 1", "Category", "changed", "C1", "C3"),
        ("A / one / 1", "new", "added", None, True),
    ]
    assert meta_job.diff["counts"] == {"added": 1, "changed": 1, "removed": 0, "unchanged": 2}
    assert meta_job.diff["runs"] == {"compared": 1, "changed": 1}
    assert "1 of 1 scenarios would change: 1 added, 1 changed" in done.stdout
    assert meta_job.platform == before
    with (meta_job.results / "diff.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["change"], r["key"], r["from"], r["to"], r["to_type"]) for r in rows] == [
        ("added", "new", "", "true", "bool"), ("changed", "Category", "C1", "C3", "str"),
        ("unchanged", "n", "1", "1", "int"), ("unchanged", "x", "0.5", "0.5", "float"),
    ]  # fmt: skip


@pytest.mark.parametrize(("given", "type_"), [(1.0, "float"), (True, "bool"), ("1", "str")])
def test_another_type_is_another_value(sqlite_job: MetaJob, given: Any, type_: str) -> None:
    assert sqlite_job.records({**ONE, "n": given}).check().returncode == 0
    [entry] = sqlite_job.diff["entries"]
    assert (entry["change"], entry["from_type"], entry["to_type"]) == ("changed", "int", type_)


def test_what_a_replacement_removes_is_in_the_diff(sqlite_job: MetaJob) -> None:
    assert sqlite_job.records({**ONE, "n": 1}).check("replace").returncode == 0
    found = [(e["key"], e["change"], e["from"]) for e in sqlite_job.diff["entries"]]
    assert found == [("n", "unchanged", 1), ("Category", "removed", "C1"),
                     ("ok", "removed", True), ("x", "removed", 0.5)]  # fmt: skip


def test_every_unknown_name_is_found_with_the_nearest_and_the_diff_is_there_all_the_same(
    meta_job: MetaJob,
) -> None:
    meta_job.records(
        {**ONE, "n": 2}, {"model": "a", "scenario": "one", "n": 1},
        {"model": "A", "scenario": "tow", "n": 1}, {"model": "B", "scenario": "two", "n": 1},
        {**ONE, "version": 9, "n": 1}, {"model": "A", "scenario": "undecided", "n": 1},
    )  # fmt: skip
    assert meta_job.check().returncode == 1
    assert _codes(meta_job) == [
        ("no_default_version", None), ("unknown_model", "a"), ("unknown_scenario", "tow"),
        ("unknown_scenario", "two"), ("unknown_version", "9"),
    ]  # fmt: skip
    said = {p["value"]: p["message"] for p in meta_job.problems}
    assert "Did you mean 'A'?" in said["a"]
    assert "Did you mean 'two'?" in said["tow"]
    assert "'A' has it" in said["two"]
    assert "there are: 1 (the default), 2" in said["9"]
    assert [entry["row"] for entry in meta_job.diff["unknown"]] == [3, 4, 5, 6, 2]
    assert meta_job.changes == [("A / one / 1", "n", "changed", 1, 2)]
    assert not (meta_job.work / "diff.json").exists()
    with (meta_job.results / "diff.csv").open(newline="") as stream:
        assert [row["change"] for row in csv.DictReader(stream)] == ["unknown"] * 5 + ["changed"]


def test_the_default_version_that_is_also_named_by_its_number_is_a_problem(
    sqlite_job: MetaJob,
) -> None:
    other = {"model": "B", "scenario": "one", "n": 1}
    sqlite_job.records({**ONE, "n": 2}, {**ONE, "version": 1, "n": 3}, other)
    assert sqlite_job.check().returncode == 1
    [problem] = sqlite_job.problems
    assert (problem["code"], problem["rows"]) == ("duplicate_meta", "1-2")


def test_no_indicators_where_none_are_required_is_a_warning_without_a_platform(
    tmp_path: Path, ixmp4_warm: Warm
) -> None:
    job = MetaJob(tmp_path / "job", ixmp4_warm, "")
    iamc = ["Model", "Scenario", "Region", "Variable", "Unit", 2020]
    file = xlsx(tmp_path / "x.xlsx", {"data": [iamc, ["A", "one", "World", "v", "EJ", 1]]})
    job.read(file, "--optional").both()
    assert _codes(job) == [("no_indicators", None)]
    assert job.stored["runs"] == []


def test_a_reader_gets_the_diff_and_then_a_clear_error(
    postgres: Server, postgres_job: MetaJob
) -> None:
    postgres.sql(
        "indicators", f"CREATE ROLE onlooker LOGIN PASSWORD '{PASSWORD}'",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO onlooker",
    )  # fmt: skip
    writer, postgres_job.dsn = postgres_job.dsn, postgres.dsn("indicators", user="onlooker")
    try:
        done = postgres_job.records({**ONE, "n": 2}).check()
        assert (done.returncode, postgres_job.error["code"]) == (1, "platform_rights")
        assert postgres_job.changes == [("A / one / 1", "n", "changed", 1, 2)]
        assert PASSWORD not in done.stdout + done.stderr + json.dumps(postgres_job.error)
        postgres_job.dsn = writer
        assert postgres_job.check().returncode == 0
        postgres_job.dsn = postgres.dsn("indicators", user="onlooker")
        assert postgres_job.store().returncode == 1
        assert postgres_job.error["code"] == "platform_rights"
        postgres_job.dsn = writer
        assert postgres_job.platform["A / one / 1"]["n"] == 1
    finally:
        postgres.sql("indicators", "DROP OWNED BY onlooker", "DROP ROLE onlooker")


def test_a_platform_that_is_away_is_one_clear_error_and_the_job_goes_on_when_it_is_back(
    sqlite_job: MetaJob, tmp_path: Path
) -> None:
    there, sqlite_job.dsn = sqlite_job.dsn, f"postgresql://me:topsecret@/x?host={tmp_path}"
    assert sqlite_job.records({**ONE, "n": 2}).check().returncode == 1
    assert sqlite_job.error["code"] == "platform_unreachable"
    assert "topsecret" not in json.dumps(sqlite_job.error)
    assert not (sqlite_job.results / "diff.json").exists()
    sqlite_job.dsn = there
    sqlite_job.both()
    assert sqlite_job.platform["A / one / 1"]["n"] == 2


def test_unknown_scenarios_are_skipped_where_that_is_asked_for(meta_job: MetaJob) -> None:
    meta_job.records({**ONE, "n": 2}, {"model": "Z", "scenario": "one", "n": 2})
    assert meta_job.check("merge", "--skip-unknown").returncode == 0
    [warning] = meta_job.problems
    assert (warning["code"], warning["severity"], warning["row"]) == ("unknown_model", "warning", 2)
    assert meta_job.store().returncode == 0
    assert meta_job.platform["A / one / 1"]["n"] == 2


def test_a_platform_file_that_may_only_be_read_gives_the_diff_and_then_a_clear_error(
    sqlite_job: MetaJob, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("a folder can only be mounted read-only by root")
    folder = tmp_path / "readable"
    folder.mkdir()
    shutil.move(sqlite_job.dsn.removeprefix("sqlite:///"), folder / "platform.db")
    sqlite_job.dsn = f"sqlite:///{folder}/platform.db"
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        assert sqlite_job.records({**ONE, "n": 2}).check().returncode == 1
        assert sqlite_job.error["code"] == "platform_rights"
        assert sqlite_job.changes == [("A / one / 1", "n", "changed", 1, 2)]
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_an_embedded_platform_that_is_not_there_is_not_made(
    tmp_path: Path, ixmp4_warm: Warm
) -> None:
    job = MetaJob(tmp_path / "job", ixmp4_warm, "")
    job.embedded = tmp_path / "new.db"
    assert job.records({**ONE, "n": 1}).check().returncode == 1
    assert _codes(job) == [("unknown_model", "A")]
    assert "it has no scenario at all" in job.error["message"]
    assert not job.embedded.exists()
