"""The whole job against real platforms, through the command line and with a bare Snakemake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import psutil
import pytest

from runner.environments import standin_folder
from tests.conftest import ENVIRONMENTS, ROOT
from tests.postgresql import PASSWORD

EXAMPLES = ROOT / "examples"
PROFILE = "platform: {{dsn: 'env:THE_DSN', create_names: {create}}}\nenvironments: uv\n"
Job = Callable[..., tuple[int, dict[str, Any]]]

READ_BACK = """
import os, sys, ixmp4
from ixmp4.transport import DirectTransport
platform = ixmp4.Platform(DirectTransport.from_dsn(os.environ["THE_DSN"]))
table = platform.iamc.tabulate(run={"default_only": False})
unwanted = [name for name in ("id", "type", "time_series__id") if name in table]
table.drop(columns=unwanted).to_parquet(sys.argv[1])
"""


@pytest.fixture
def job(tmp_path: Path, postgres_dsn: str) -> Job:
    """Run an import into a PostgreSQL platform; give exit code and document."""
    profiles = tmp_path / "home" / "config" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "strict.yaml").write_text(PROFILE.format(create="false"))
    (profiles / "open.yaml").write_text(PROFILE.format(create="true"))

    def run(*options: str, dsn: str = postgres_dsn) -> tuple[int, dict[str, Any]]:
        command = [sys.executable, "-m", "runner", "run", "import_timeseries", "--json"]
        command += ["--home", str(tmp_path / "home"), *options]
        environment = {**os.environ, "THE_DSN": dsn}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment
        ) as process:
            seen: set[str] = set()
            while True:
                try:
                    output, _ = process.communicate(timeout=0.1)
                    break
                except subprocess.TimeoutExpired:
                    seen |= _command_lines(process.pid)
        assert any("import_runs.py" in line or "check.py" in line for line in seen), seen
        assert not [
            line for line in [*seen, output] if PASSWORD in line or quote(PASSWORD, safe="") in line
        ]
        return process.returncode, json.loads(output)

    return run


def _command_lines(pid: int) -> set[str]:
    """What ``ps`` shows to everyone on this machine, of a process and those it has started."""
    found = set()
    with suppress(psutil.NoSuchProcess):
        started = psutil.Process(pid)
        for process in [started, *started.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                found.add(" ".join(process.cmdline()))
    return found


def _texts(directory: str) -> str:
    paths = (path for path in Path(directory).rglob("*") if path.is_file())
    return "\n".join(path.read_bytes().decode(errors="replace") for path in paths)


def test_the_example_with_its_processing_is_stored_on_postgresql_as_processed(
    job: Job, postgres_dsn: str, ixmp4_python: Path, tmp_path: Path
) -> None:
    options = ["--input", f"workbook={EXAMPLES / 'example-workbook.xlsx'}", "--profile", "open"]
    code, document = job(*options, "--processing", str(EXAMPLES / "project-workflow"))
    assert (code, document["error"]) == (0, None)
    back = tmp_path / "back.parquet"
    environment = {**os.environ, "THE_DSN": postgres_dsn}
    subprocess.run([ixmp4_python, "-c", READ_BACK, back], check=True, env=environment)
    keys = ["model", "scenario", "region", "variable", "unit", "year"]
    processed = pl.read_parquet(Path(document["directory"]) / "results" / "processed.parquet")
    stored = pl.read_parquet(back).rename({"step_year": "year"}, strict=False)
    stored = stored.with_columns(pl.col("year").cast(pl.Int64))
    assert (
        stored.select([*keys, "value"]).sort(keys).rows()
        == processed.select([*keys, "value"]).sort(keys).rows()
    )
    assert PASSWORD not in _texts(document["directory"])


def test_without_the_right_to_create_names_they_are_problems_with_the_nearest(
    job: Job, postgres: Any, postgres_dsn: str
) -> None:
    workbook = EXAMPLES / "example-workbook.xlsx"
    code, document = job("--input", f"workbook={workbook}", "--profile", "strict")
    assert (code, document["error"]["stage"]) == (1, "check")
    codes = {problem["code"] for problem in document["error"]["problems"]}
    assert codes == {"unknown_region", "unknown_unit"}
    assert all(problem["row"] for problem in document["error"]["problems"])
    assert postgres.sql("platform", "SELECT count(*) FROM run") == [(0,)]


def test_a_wrong_password_or_a_platform_that_is_away_is_one_error_without_the_password(
    job: Job, postgres: Any, tmp_path: Path
) -> None:
    text = tmp_path / "data.csv"
    text.write_text("Model,Scenario,Region,Variable,Unit,2020\nm,s,World,a,EJ/yr,1\n")
    wrong = postgres.dsn("platform", password="wrong-word")
    away = f"postgresql+psycopg://tester:{quote(PASSWORD, safe='')}@127.0.0.1:1/x"
    for dsn in (wrong, away):
        code, document = job("--input", f"workbook={text}", "--profile", "strict", dsn=dsn)
        assert (code, document["error"]["code"]) == (1, "platform_unavailable")
        said = _texts(document["directory"]) + json.dumps(document)
        assert "wrong-word" not in said
        assert PASSWORD not in said


def test_the_example_with_mistakes_names_every_mistake_and_stores_nothing(job: Job) -> None:
    workbook = EXAMPLES / "workbook-with-mistakes.xlsx"
    options = ["--input", f"workbook={workbook}", "--profile", "open"]
    code, document = job(*options, "--processing", str(EXAMPLES / "project-workflow"))
    assert code == 1
    codes = {problem["code"] for problem in document["error"]["problems"]}
    assert {"duplicate", "not_a_number"} <= codes, codes
    assert not (Path(document["directory"]) / "results" / "import.json").exists()
    assert (Path(document["directory"]) / "results" / "problems.csv").is_file()


def test_a_bare_snakemake_does_the_same_on_the_same_directory(tmp_path: Path) -> None:
    """With nothing of the runner but the stand-in's folder on PATH."""
    command = [
        sys.executable,
        "-m",
        "runner",
        "run",
        "import_timeseries",
        "--json",
        "--until",
        "read",
    ]
    command += ["--home", str(tmp_path / "home")]
    command += ["--input", f"workbook={EXAMPLES / 'example-workbook.xlsx'}"]
    document = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    directory = Path(document["directory"])
    bare = ["snakemake", "-s", str(ROOT / "workflow" / "import_timeseries" / "Snakefile")]
    bare += ["--directory", str(directory), "--configfile", str(directory / "job.yaml")]
    bare += ["--sdm", "conda", "--cores", "2"]
    path = [str(standin_folder(ENVIRONMENTS)), str(Path(sys.executable).parent), os.environ["PATH"]]
    clean = {"PATH": os.pathsep.join(path), "HOME": os.environ["HOME"]}
    answer = subprocess.run(
        bare, capture_output=True, text=True, env={**clean, "JOBRUNNER_ENVS": str(ENVIRONMENTS)}
    )
    assert answer.returncode == 0, answer.stderr
    imported = json.loads((directory / "results" / "import.json").read_text())
    assert len(imported["runs"]) == 6
    assert (directory / "results" / "report.html").is_file()
    plan = [sys.executable, "-m", "runner", "plan", str(directory), "--json"]
    planned = json.loads(subprocess.run(plan, capture_output=True, text=True).stdout)
    assert [stage["name"] for stage in planned if stage["runs"]] == []
