"""The whole job: through the command line into PostgreSQL's names, and with a bare Snakemake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from runner.environments import standin_folder
from tests.conftest import ENVIRONMENTS, ROOT
from tests.postgresql import PASSWORD, Server
from tests.workflow.layering import add_regions

EXAMPLE = ROOT / "examples" / "example-layer.geojson"
REGIONS = ("World", "R5ASIA", "R5LAM", "R5MAF", "R5OECD90+EU", "R5REF")
PROFILE = "platform: {dsn: 'env:THE_DSN', layers: 'maps/{instance}'}\nenvironments: uv\n"


def run(home: Path, dsn: str, *options: str) -> tuple[int, dict[str, Any]]:
    """Run a job through the command line."""
    command = [
        sys.executable,
        "-m",
        "runner",
        "run",
        "import_layers",
        "--json",
        "--home",
        str(home),
    ]
    command += ["--profile", "own", *options]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "THE_DSN": dsn}
    )
    return done.returncode, json.loads(done.stdout)


def test_a_layer_is_published_in_the_instances_store_and_mistakes_are_all_told(
    tmp_path: Path, postgres: Server, postgres_dsn: str
) -> None:
    rows = ", ".join(f"('{name}', 'common')" for name in REGIONS)
    postgres.sql("platform", f"INSERT INTO region (name, hierarchy) VALUES {rows}")
    home = tmp_path / "home"
    (home / "config" / "profiles").mkdir(parents=True)
    (home / "config" / "profiles" / "own.yaml").write_text(PROFILE)
    named = ["--param", "name=r5", "--param", "attribution=Drawn for a test"]
    code, document = run(home, postgres_dsn, "--input", f"layer={EXAMPLE}", *named)
    assert (code, document["error"]) == (0, None), document
    store = home / "maps" / "default"
    (entry,) = json.loads((store / "layers.json").read_text())["layers"]
    assert (entry["name"], entry["version"], entry["regions"]) == ("r5", "1", 5)
    assert (store / "r5" / "1" / "r5-medium.geojson").is_file()
    directory = Path(document["directory"])
    headline = json.loads((directory / "results" / "summary.json").read_text())["headline"]
    assert headline["Layer"] == "r5, version 1"
    assert "R5OECD90+EU" in (directory / "results" / "report.html").read_text(encoding="utf-8")
    wrong = ROOT / "examples" / "layer-with-mistakes.geojson"
    code, document = run(home, postgres_dsn, "--input", f"layer={wrong}", *named)
    assert (code, document["error"]["code"]) == (1, "invalid_layer")
    assert len(json.loads((store / "layers.json").read_text())["layers"]) == 1
    for path in (p for p in directory.rglob("*") if p.is_file()):
        assert PASSWORD.encode() not in path.read_bytes()


def test_a_bare_snakemake_needs_nothing_of_the_runner(
    tmp_path: Path, sqlite_platform: Path
) -> None:
    add_regions(sqlite_platform, REGIONS)
    directory = tmp_path / "job"
    (directory / "input").mkdir(parents=True)
    (directory / "input" / "layer.geojson").write_bytes(EXAMPLE.read_bytes())
    (directory / "input" / "mapping.csv").write_text("from,to\nR5LAM,\n")
    job = {
        "id": "trial-1",
        "type": "import_layers",
        "inputs": {
            "layer": {"path": "input/layer.geojson"},
            "mapping": {"path": "input/mapping.csv"},
        },
        "params": {"name": "trial", "levels": {"only": "20 km"}, "mapping": {"R5MAF": None}},
        "platform": {"embedded": str(sqlite_platform), "layers": str(tmp_path / "store")},
    }
    (directory / "job.yaml").write_text(json.dumps(job))
    bare = ["snakemake", "-s", str(ROOT / "workflow" / "import_layers" / "Snakefile")]
    bare += ["--directory", str(directory), "--configfile", str(directory / "job.yaml")]
    bare += ["--sdm", "conda", "--cores", "1"]
    path = [str(standin_folder(ENVIRONMENTS)), str(Path(sys.executable).parent), os.environ["PATH"]]
    clean = {"PATH": os.pathsep.join(path), "HOME": os.environ["HOME"]}
    answer = subprocess.run(
        bare, capture_output=True, text=True, env={**clean, "JOBRUNNER_ENVS": str(ENVIRONMENTS)}
    )
    assert answer.returncode == 0, answer.stderr
    summary = json.loads((directory / "results" / "summary.json").read_text())
    assert summary["left_out"] == ["R5LAM", "R5MAF"]
    assert summary["regions"] == 3
    assert (tmp_path / "store" / "trial" / "1" / "trial-only.geojson").is_file()
    assert (directory / "results" / "report.html").is_file()
