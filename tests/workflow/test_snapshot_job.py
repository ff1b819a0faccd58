"""The whole job, through the command line and with a bare Snakemake."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest

from runner.environments import standin_folder
from tests.conftest import ENVIRONMENTS, ROOT
from tests.postgresql import PASSWORD

PROFILE = "platform: {dsn: 'env:THE_DSN'}\npublish: env:THE_OPTIONS\nenvironments: uv\n"
SECRET = "s3cr3t-option"


def _given(params: dict[str, object]) -> list[str]:
    texts = {n: v if isinstance(v, str) else json.dumps(v) for n, v in params.items()}
    return [f"--param={name}={text}" for name, text in texts.items()]


def _texts(directory: Path) -> str:
    paths = [path for path in directory.rglob("*") if path.is_file()]
    return "\n".join(path.read_bytes().decode(errors="replace") for path in paths)


def test_a_snapshot_of_a_postgresql_platform_is_published_without_a_credential_anywhere(
    tmp_path: Path, filled_postgres: str
) -> None:
    profiles, there = tmp_path / "home" / "config" / "profiles", tmp_path / "there"
    profiles.mkdir(parents=True)
    there.mkdir()
    (profiles / "own.yaml").write_text(PROFILE)
    params = {"formats": ["csv_wide", "duckdb"], "variable": "Primary *", "split_by": "model",
              "publish": {"to": str(there), "keep": 2, "as": "files"}, "name": "night"}  # fmt: skip
    command = [sys.executable, "-m", "runner", "run", "snapshot", "--json", "--profile", "own"]
    command += ["--home", str(tmp_path / "home")]
    command += _given(params)
    secrets = {"THE_DSN": filled_postgres, "THE_OPTIONS": json.dumps({"auto_mkdir": False,
               "password": SECRET})}  # fmt: skip
    answer = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **secrets})
    document = json.loads(answer.stdout)
    assert document["error"] is None, document["error"]
    directory = Path(document["directory"])
    summary = json.loads((directory / "results" / "summary.json").read_text())
    (published,) = there.iterdir()
    assert summary["headline"]["Published"] == f"{published.name} in {there}"
    assert published.name == f"night-{published.name.split('-')[1]}-{document['id']}"
    manifest = json.loads((published / "manifest.json").read_text())
    for file in manifest["files"]:
        content = (published / file["path"]).read_bytes()
        assert content == (directory / "results" / file["path"]).read_bytes()
    assert "Primary *" in (published / "README.txt").read_text()
    everything = _texts(directory) + _texts(there) + answer.stdout + answer.stderr
    for secret in (PASSWORD, quote(PASSWORD, safe=""), SECRET):
        assert secret not in everything
    page = (directory / "results" / "report.html").read_text()
    assert "m_a__s" in page or "m/a?" in page


def test_a_bare_snakemake_makes_the_same(tmp_path: Path, filled_sqlite: Path) -> None:
    """With nothing of the runner but the stand-in's folder on PATH."""
    job = tmp_path / "job"
    (job / "input").mkdir(parents=True)
    platform = shutil.copy(filled_sqlite, tmp_path / "platform.db")
    runs = [{"model": "m a", "scenario": "s2", "version": 1}]
    (job / "input" / "runs.json").write_text(json.dumps({"runs": runs}))
    (job / "job.yaml").write_text(
        f"id: trial-1\ntype: snapshot\nplatform: {{embedded: {platform}}}\n"
        "inputs: {runs: {path: input/runs.json}}\nparams: {formats: [parquet]}\n"
    )
    bare = ["snakemake", "-s", str(ROOT / "workflow" / "snapshot" / "Snakefile")]
    bare += ["--directory", str(job), "--configfile", str(job / "job.yaml")]
    bare += ["--sdm", "conda", "--cores", "2"]
    path = [str(standin_folder(ENVIRONMENTS)), str(Path(sys.executable).parent), os.environ["PATH"]]
    clean = {"PATH": os.pathsep.join(path), "HOME": os.environ["HOME"]}
    answer = subprocess.run(
        bare, capture_output=True, text=True, env={**clean, "JOBRUNNER_ENVS": str(ENVIRONMENTS)}
    )
    assert answer.returncode == 0, answer.stderr
    table = pl.read_parquet(job / "results" / "data" / "parquet" / "timeseries.parquet")
    assert table.select("model", "scenario").unique().rows() == [("m a", "s2")]
    assert table["type"].unique().sort().to_list() == ["ANNUAL", "CATEGORICAL", "DATETIME"]
    assert (job / "results" / "report.html").is_file()
    assert not (job / "work" / "formats").exists()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"formats": ["pdf"]}, "formats/0"),
        ({"formats": []}, "formats"),
        ({"model": ""}, "model"),
        ({"publish": {"to": "somewhere"}}, "publish/to"),
        ({"publish": {"to": "/x", "keep": 0}}, "publish/keep"),
        ({"name": "../x"}, "name"),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(
    params: dict[str, object], said: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "runner", "run", "snapshot", "--home", str(tmp_path)]
    command += _given(params)
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode != 0
    assert f"/params/{said}" in answer.stderr + answer.stdout
