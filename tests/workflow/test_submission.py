"""A whole submission: three sub-jobs of one workbook, on real platforms."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
import yaml

from tests.conftest import ROOT
from tests.workflow.submitting import xlsx

EXAMPLE = ROOT / "examples" / "example-workbook.xlsx"
HEADER = ("Model", "Scenario", "Region", "Variable", "Unit", 2020, 2030)
DATA = [HEADER, ("m", "s", "World", "Primary Energy", "EJ/yr", 1.5, 2)]
META = [("Model", "Scenario", "Category", "Warming"), ("m", "s", "C1", 1.4)]
Submit = Callable[..., dict[str, Any]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    profiles = tmp_path / "home" / "config" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "server.yaml").write_text(
        "platform: {dsn: 'env:THE_DSN', create_names: true}\nenvironments: uv\n"
    )
    return tmp_path / "home"


def _jobrunner(home: Path, *words: object, dsn: str = "") -> dict[str, Any]:
    command = [sys.executable, "-m", "runner", *map(str, words), "--json", "--home", str(home)]
    environment = {**os.environ, "THE_DSN": dsn}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture
def submit(home: Path) -> Submit:
    """Run a submission of a workbook; give the document of the job."""

    def run(workbook: Path, *options: str, dsn: str = "") -> dict[str, Any]:
        words = ["run", "submission", "--input", f"workbook={workbook}", *options]
        return _jobrunner(home, *words, *(("--profile", "server") if dsn else ()), dsn=dsn)

    return run


def _part(done: dict[str, Any], name: str) -> dict[str, Any]:
    return next(part for part in done["sub_jobs"] if part["id"].endswith(f".{name}"))


def _folder(done: dict[str, Any], name: str) -> Path:
    return Path(done["directory"], "sub_jobs", name)


def _statuses(done: dict[str, Any]) -> list[str]:
    return [part["status"] for part in done["sub_jobs"]]


@pytest.mark.parametrize("server", [False, True], ids=["sqlite", "postgresql"])
def test_a_workbook_is_stored_with_its_indicators_and_comes_back_as_a_snapshot(
    server: bool, submit: Submit, request: pytest.FixtureRequest
) -> None:
    dsn = request.getfixturevalue("postgres_dsn") if server else ""
    done = submit(EXAMPLE, dsn=dsn)
    assert (done["status"], done["error"]) == ("succeeded", None)
    assert _statuses(done) == ["succeeded"] * 3
    assert [part["type"] for part in done["sub_jobs"]] == [
        "import_timeseries", "import_meta", "snapshot"
    ]  # fmt: skip
    submitted = pl.read_parquet(_folder(done, "timeseries") / "results" / "processed.parquet")
    results = _folder(done, "snapshot") / "results"
    read = pl.read_parquet(results / "data" / "parquet" / "*.parquet")
    keys = ["model", "scenario", "region", "variable", "unit", "year"]
    shared = [*keys, "value"]
    kinds = {**dict.fromkeys(keys[:-1], pl.String), "year": pl.Int64, "value": pl.Float64}
    assert (
        read.select(shared)
        .cast(kinds)
        .sort(keys)
        .equals(submitted.select(shared).cast(kinds).sort(keys))
    )
    with zipfile.ZipFile(results / "snapshot.zip") as archive:
        archive.extract("meta.xlsx", results.parent / "work")
    book = openpyxl.load_workbook(results.parent / "work" / "meta.xlsx", read_only=True)
    meta = list(book["meta"].iter_rows(values_only=True))
    assert len(meta) == 1 + 6
    original = openpyxl.load_workbook(EXAMPLE, read_only=True)["meta"]
    wanted = {row[:2]: set(row[2:]) for row in original.iter_rows(min_row=2, values_only=True)}
    assert {row[:2]: set(wanted[row[:2]]) <= set(row) for row in meta[1:]} == dict.fromkeys(
        wanted, True
    )


def test_the_overview_leads_to_the_report_of_each_part(submit: Submit, tmp_path: Path) -> None:
    done = submit(xlsx(tmp_path / "both.xlsx", {"data": DATA, "meta": META}))
    root = Path(done["directory"])
    summary = json.loads((root / "results" / "summary.json").read_text())
    assert summary["headline"]["Timeseries: Datapoints"] == "2 submitted, 2 stored"
    page = (root / "results" / "report.html").read_text()
    for part in summary["sub_jobs"].values():
        assert (root / "results" / part["report"]).is_file()
        assert part["report"] in page


def test_a_workbook_without_a_meta_sheet_is_fine(submit: Submit, tmp_path: Path) -> None:
    done = submit(xlsx(tmp_path / "data.xlsx", {"data": DATA}))
    assert _statuses(done) == ["succeeded"] * 3
    stored = json.loads((_folder(done, "meta") / "results" / "stored.json").read_text())
    assert stored["runs"] == []


def test_nothing_is_stored_of_a_workbook_whose_meta_sheet_is_wrong(
    submit: Submit, home: Path, tmp_path: Path
) -> None:
    wrong = [("Model", "Scenario", "version"), ("m", "s", "C1")]
    done = submit(xlsx(tmp_path / "wrong.xlsx", {"data": DATA, "meta": wrong}))
    assert done["status"] == "failed"
    assert _part(done, "meta")["status"] == "failed"
    assert _part(done, "snapshot")["status"] == "cancelled"
    problem = done["error"]["problems"][0]
    assert (problem["sheet"], problem["column"]) == ("meta", "C")
    assert not (_folder(done, "timeseries") / "results" / "import.json").exists()


def test_a_part_is_rerun_alone_and_stores_nothing_twice(
    submit: Submit, home: Path, tmp_path: Path
) -> None:
    done = submit(xlsx(tmp_path / "both.xlsx", {"data": DATA, "meta": META}))
    before = json.loads((_folder(done, "timeseries") / "results" / "import.json").read_text())
    again = _jobrunner(home, "rerun", f"{done['id']}.timeseries", "--stage", "import")
    assert again["status"] == "succeeded"
    after = json.loads((_folder(done, "timeseries") / "results" / "import.json").read_text())
    assert after["runs"] == before["runs"]
    stages = {stage["name"]: stage["reason"] for stage in again["stages"]}
    assert stages["meta_store"] == "kept from attempt 1"


def test_bare_snakemake_gives_the_same(submit: Submit, tmp_path: Path) -> None:
    from runner.environments import standin_folder
    from tests.conftest import ENVIRONMENTS

    workbook = xlsx(tmp_path / "both.xlsx", {"data": DATA, "meta": META})
    done = submit(workbook)
    job = tmp_path / "by-hand"
    (job / "input").mkdir(parents=True)
    (job / "input" / "both.xlsx").write_bytes(workbook.read_bytes())
    request = {
        "id": "trial-1",
        "type": "submission",
        "inputs": {"workbook": {"path": "input/both.xlsx"}},
        "platform": {"embedded": str(tmp_path / "trial.db"), "create_names": True},
    }
    (job / "job.yaml").write_text(yaml.safe_dump(request))
    command = [sys.executable, "-m", "snakemake", "--directory", job, "--cores", "2"]
    command += ["-s", ROOT / "workflow" / "submission" / "Snakefile"]
    command += ["--configfile", job / "job.yaml", "--sdm", "conda"]
    environment = {
        **os.environ,
        "PATH": f"{standin_folder()}:{os.environ['PATH']}",
        "JOBRUNNER_ENVS": str(ENVIRONMENTS),
    }
    subprocess.run(command, check=True, capture_output=True, env=environment)
    name = "sub_jobs/snapshot/results/data/parquet"
    ours, bare = (
        pl.read_parquet(Path(root) / name / "*.parquet") for root in (done["directory"], job)
    )
    assert ours.equals(bare)
