"""The wheel, installed by itself, is a working runner with its job types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and the base lock, nothing else."""
    folder, uv = tmp_path_factory.mktemp("package"), find_uv_bin()
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("ixmp_jobrunner-*.whl")
    venv = folder / "venv"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, venv], check=True)
    pip = [uv, "pip", "install", "--quiet", "--python", venv / "bin" / "python"]
    subprocess.run([*pip, "--require-hashes", "-r", ROOT / "requirements.lock"], check=True)
    subprocess.run([*pip, "--no-deps", wheel], check=True)
    return venv / "bin" / "jobrunner"


def _call(program: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "JOBRUNNER_HOME": str(folder / "home")}
    command = [str(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


def test_the_wheel_carries_the_job_types_and_their_environments(
    installed: Path, tmp_path: Path
) -> None:
    types = json.loads(_call(installed, tmp_path, "types", "--json").stdout)
    folders = ROOT.glob("workflow/*/jobtype.yaml")
    assert [found["name"] for found in types] == sorted(path.parent.name for path in folders)
    release = next((tmp_path / "home" / "releases").iterdir()) / "source"
    assert (release / "envs" / "polars.lock").is_file()


def test_the_wheel_lays_out_a_new_job_type(installed: Path, tmp_path: Path) -> None:
    _call(installed, tmp_path, "new-type", "own", "--to", str(tmp_path / "source"))
    assert (tmp_path / "source" / "workflow" / "own" / ".test" / "small" / "job.yaml").is_file()
    told = _call(installed, tmp_path, "types", "--check", str(tmp_path / "source"))
    assert told.stdout == "own: ok\n"


def test_a_job_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("Model,Scenario,Region,Variable,Unit,2020\nm,s,World,a,EJ/yr,1\n")
    options = ["--input", f"workbook={table}", "--until", "process", "--json"]
    answer = _call(installed, tmp_path, "run", "import_timeseries", *options)
    document = json.loads(answer.stdout)
    assert (answer.returncode, document["error"]) == (0, None)
    assert (Path(document["directory"]) / "results" / "processed.parquet").is_file()


def test_the_base_needs_no_web_framework_queue_or_database_driver(installed: Path) -> None:
    python = installed.with_name("python")
    code = "import importlib.util as u, json, sys\n"
    code += "print(json.dumps([name for name in sys.argv[1:] if u.find_spec(name)]))"
    unwanted = ["flask", "apiflask", "rq", "redis", "psycopg", "ixmp4", "pyam", "pandas", "polars"]
    answer = subprocess.run([python, "-c", code, *unwanted], capture_output=True, text=True)
    assert json.loads(answer.stdout) == []


def test_the_wheel_carries_the_service_with_the_revisions_of_its_database(installed: Path) -> None:
    (service,) = installed.parent.parent.glob("lib/python*/site-packages/webapp")
    names = ("env.py", "script.py.mako", "versions/0001_the_first_tables.py")
    assert [name for name in names if not (service / "migrations" / name).is_file()] == []
