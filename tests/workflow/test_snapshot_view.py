"""Stage view: one consistent view, of what was asked for, while others write."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import polars as pl
import pytest

from tests.workflow.snapshots import Stages, good

# A second connection that commits: changed, removed and further datapoints, and a new name.
OTHER = """
import os, sqlalchemy as sa
def other():
    # without a pool, so that it is a connection of its own
    made = sa.create_engine(os.environ["JOBRUNNER_PLATFORM_DSN"], poolclass=sa.NullPool)
    with made.begin() as c:
        for statement in (
            "UPDATE iamc_datapoint_universal SET value = -1 WHERE step_year = 2020",
            "DELETE FROM iamc_datapoint_universal WHERE step_year = 2030",
            "UPDATE region SET name = 'renamed' WHERE name = 'World'",
            "INSERT INTO iamc_datapoint_universal (time_series__id, step_year, type, value)"
            " SELECT id, 2099, 'ANNUAL', 1 FROM iamc_timeseries",
        ):
            c.execute(sa.text(statement))
    print("others have committed", flush=True)
"""
BEFORE_THE_FACTS = """
import snapshot_facts
export = snapshot_facts.export
def meddled(*arguments):
    other()
    return export(*arguments)
import snapshot_facts
snapshot_facts.export = meddled
"""
BETWEEN_BATCHES = """
import snapshot_facts, snapshot_source
snapshot_facts.ROWS, snapshot_source.BATCH_ROWS, snapshot_source.BATCH_BYTES = 7, 3, 1
gathered = snapshot_facts._gathered
def meddled(batches):
    for number, batch in enumerate(gathered(batches)):
        yield batch
        if number == 2:
            other()
snapshot_facts._gathered = meddled
"""

PRICES_OF_S2 = """
DELETE FROM iamc_datapoint_universal WHERE time_series__id IN (
 SELECT t.id FROM iamc_timeseries t JOIN run r ON r.id = t.run__id
 JOIN scenario s ON s.id = r.scenario__id JOIN iamc_measurand q ON q.id = t.measurand__id
 JOIN iamc_variable v ON v.id = q.variable__id WHERE v.name = 'Price' AND s.name = 's2')
"""


def content(stages: Stages) -> list[tuple[object, ...]]:
    """Give what a snapshot has, with names."""
    good(stages.write("parquet"))
    return pl.read_parquet(stages.results / "data" / "parquet" / "timeseries.parquet").rows()


@pytest.mark.parametrize("moment", [BEFORE_THE_FACTS, BETWEEN_BATCHES], ids=["before", "between"])
def test_what_others_commit_meanwhile_is_not_seen(stages: Stages, moment: str) -> None:
    if stages.dsn.startswith("sqlite"):  # without it their commit would wait, see below
        with sqlite3.connect(stages.dsn.removeprefix("sqlite:///")) as connection:
            assert connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    good(stages.view("--versions", "all"))
    expected = content(stages)
    said = good(stages.view("--versions", "all", patch=OTHER + moment))
    assert "others have committed" in said
    assert content(stages) == expected
    good(stages.view("--versions", "all"))
    assert content(stages) != expected


def test_on_sqlite_without_a_write_ahead_log_a_commit_waits_for_the_view(
    stages: Stages,
) -> None:
    if not stages.dsn.startswith("sqlite"):
        return
    impatient = OTHER.replace("sa.NullPool", "sa.NullPool, connect_args={'timeout': 0}")
    told = "try: other()\n            except Exception as error: print(error)"
    caught = impatient + BETWEEN_BATCHES.replace("            other()", f"            {told}")
    said = good(stages.view("--versions", "all", patch=caught))
    assert "database is locked" in said
    assert "others have committed" not in said


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({"model": "m a"}, {"model": {"m a"}}),
        ({"model": ["m b", "m/*"]}, {"model": {"m/a?"}}),  # m b has no default version
        ({"scenario": "s*"}, {"scenario": {"s1", "s2", "s 3"}}),
        ({"region": ["Asia (R5)", "=R5|*&*"]}, {"region": {"Asia (R5)", "=R5|OECD & Co"}}),
        ({"variable": "Primary Energy"}, {"variable": {"Primary Energy"}}),
        ({"variable": "Primary Energy|*"}, {"variable": {"Primary Energy|Coal"}}),
        ({"variable": "*", "region": "World"}, {"region": {"World"}}),
    ],
)
def test_patterns_choose_whole_names(
    stages: Stages, filters: dict[str, str], kept: dict[str, set[str]]
) -> None:
    good(stages.view())
    good(stages.write("parquet"))
    file = stages.results / "data" / "parquet" / "timeseries.parquet"
    everything = pl.read_parquet(file)
    good(stages.view("--filters", json.dumps(filters)))
    good(stages.write("parquet"))
    expected = everything
    for field, names in kept.items():
        expected = expected.filter(pl.col(field).is_in(sorted(names)))
    assert expected.height > 0
    assert pl.read_parquet(file).rows() == expected.rows()


def test_a_scenario_without_chosen_data_is_not_in_the_snapshot(stages: Stages) -> None:
    """It still has others, and indicators."""
    gone = f"""
import os, sqlalchemy as sa
with sa.create_engine(os.environ["JOBRUNNER_PLATFORM_DSN"]).begin() as c:
    c.execute(sa.text({PRICES_OF_S2!r}))
"""
    good(stages.view("--filters", '{"variable": "Price"}', patch=gone))
    good(stages.write("duckdb"))
    good(stages.bundle())
    assert {run["scenario"] for run in stages.manifest["runs"]} == {"s1", "s 3"}
    assert stages.manifest["counts"]["scenarios"] == 3
    meta = pl.read_excel(stages.results / "meta.xlsx", sheet_name="meta")
    assert meta.height == 3


def test_a_name_that_matches_nothing_is_an_error_with_the_nearest(stages: Stages) -> None:
    filters = {"region": ["world", "Asia*"], "variable": "Primary Enrgy", "model": "x*"}
    error = stages.refused("--filters", json.dumps(filters))
    assert error["code"] == "nothing_selected"
    found = {problem["value"]: problem["suggestions"] for problem in error["problems"]}
    assert set(found) == {"world", "Primary Enrgy", "x*"}
    assert found["world"] == ["World"]
    assert found["Primary Enrgy"][0] == "Primary Energy"
    assert "Did you mean 'World'?" in error["message"]
    assert "no_match" in (stages.results / "problems.csv").read_text()


def test_names_that_match_nothing_together_are_an_error(stages: Stages) -> None:
    error = stages.refused("--filters", '{"model": "m b"}')
    assert error["code"] == "nothing_selected"
    assert 'versions: "all"' in error["message"]


def test_only_the_runs_of_a_file_are_in_the_snapshot(stages: Stages, tmp_path: Path) -> None:
    file = tmp_path / "import.json"
    runs = [
        {"model": "m a", "scenario": "s1", "version": 1, "datapoints": 3},
        {"model": "m b", "scenario": "s1", "version": 1},
        {"model": "m a", "scenario": "s2"},
    ]
    file.write_text(json.dumps({"runs": runs, "created": {}}))
    good(stages.view("--runs", file))
    good(stages.write("csv"))
    good(stages.bundle())
    found = [(r["model"], r["scenario"], r["version"]) for r in stages.manifest["runs"]]
    assert found == [("m a", "s1", 1), ("m a", "s2", 1), ("m b", "s1", 1)]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("{", "wrong_runs_file", "line 1, column 2"),
        ("\ufeff[]", "wrong_runs_file", "no list of runs"),
        ('{"runs": []}', "wrong_runs_file", "no list of runs"),
        ('{"runs": [{"model": "m a"}, 3]}', "wrong_runs_file", "/runs/1 is no object"),
        ('{"runs": [{"model": "m", "scenario": "s", "version": "1"}]}', "wrong_runs_file",
         "/runs/0/version"),
        ('{"runs": [{"model": "m a", "scenario": "s11"}]}', "nothing_selected",
         "Did you mean 'm a / s1'"),
        ('{"runs": [{"model": "m a", "scenario": "s1", "version": 7}]}', "nothing_selected",
         "no version 7 of m a / s1"),
    ],
)  # fmt: skip
def test_a_wrong_file_of_runs_is_an_error_that_says_where(
    stages: Stages, tmp_path: Path, text: str, code: str, said: str
) -> None:
    if not stages.dsn.startswith("sqlite"):  # the same on both
        return
    file = tmp_path / "runs.json"
    file.write_text(text, encoding="utf-8")
    error = stages.refused("--runs", file)
    assert error["code"] == code
    assert said in error["message"]
