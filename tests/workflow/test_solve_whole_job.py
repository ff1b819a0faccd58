"""The whole job, through the command line and with a bare Snakemake."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from runner.environments import standin_folder
from tests.conftest import ENVIRONMENTS, ROOT
from tests.postgresql import PASSWORD
from tests.workflow.solving import EXAMPLES, TRANSPORT, Job
from tests.workflow.warm import Warm

STORED = "SELECT count(*) FROM checkpoint WHERE message LIKE 'jobrunner job=%'"


def jobrunner(*words: str, **variables: str) -> tuple[int, dict[str, Any]]:
    """Run a command; give exit code and document."""
    command = [sys.executable, "-m", "runner", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables})
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_plugin_with_an_environment_of_its_own_is_solved_stored_and_solved_again(
    tmp_path: Path, postgres: Any, postgres_dsn: str, ixmp4_warm: Warm
) -> None:
    assert ixmp4_warm.run([EXAMPLES / "put_transport.py", postgres_dsn]).returncode == 0
    profiles = tmp_path / "home" / "config" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "pg.yaml").write_text("platform: {dsn: 'env:THE_DSN'}\nenvironments: uv\n")
    plugin = shutil.copy(
        ROOT / "workflow" / "solve_scenario" / "models" / "transport.py", tmp_path / "mine.py"
    )
    words = ["run", "solve_scenario", "--home", str(tmp_path / "home"), "--profile", "pg"]
    words += [f"--param={name}={value}" for name, value in TRANSPORT.items()]
    words += [f"--input=plugin={plugin}", f"--input=environment={ROOT / 'envs' / 'linopy.yaml'}"]
    code, document = jobrunner(*words, THE_DSN=postgres_dsn)
    assert (code, document["error"]) == (0, None)
    directory = Path(document["directory"])
    summary = json.loads((directory / "results" / "summary.json").read_text())
    assert summary["headline"]["Objective"] == "153.675"
    assert summary["headline"]["Stored as"] == "version 2, the default version"
    assert [p["at"] for p in summary["shadow_prices"]] == [["new-york"], ["chicago"], ["topeka"]]
    page = (directory / "results" / "report.html").read_text()
    for part in ("153.675", "new-york", "HiGHS", "Largest shadow prices", "<svg"):
        assert part in page
    assert "Running HiGHS" in (directory / "logs" / "solve.log").read_text()
    again = ["rerun", str(directory), "--stage", "solve", "--home", str(tmp_path / "home")]
    code, document = jobrunner(*again, THE_DSN=postgres_dsn)
    assert (code, document["error"]) == (0, None)
    assert postgres.sql("platform", STORED) == [(1,)]
    for path in directory.rglob("*"):
        assert not path.is_file() or PASSWORD not in path.read_bytes().decode(errors="replace")


def test_a_bare_snakemake_solves_into_the_same_run(
    tmp_path: Path, ixmp4_warm: Warm, linopy_warm: Warm, sqlite_platform: Path
) -> None:
    dsn = f"sqlite:///{sqlite_platform}"
    assert ixmp4_warm.run([EXAMPLES / "put_transport.py", dsn]).returncode == 0
    directory = tmp_path / "job"
    directory.mkdir()
    request = {
        "id": "trial-1",
        "type": "solve_scenario",
        "params": {**TRANSPORT, "plugin": "transport", "store": "same_run"},
        "platform": {"embedded": str(sqlite_platform)},
    }
    (directory / "job.yaml").write_text(yaml.safe_dump(request))
    command = ["snakemake", "-s", str(ROOT / "workflow" / "solve_scenario" / "Snakefile")]
    command += ["--directory", str(directory), "--configfile", str(directory / "job.yaml")]
    command += ["--sdm", "conda", "--cores", "2"]
    path = [str(standin_folder(ENVIRONMENTS)), str(Path(sys.executable).parent), os.environ["PATH"]]
    clean = {"PATH": os.pathsep.join(path), "HOME": os.environ["HOME"]}
    done = subprocess.run(
        command, capture_output=True, text=True, env={**clean, "JOBRUNNER_ENVS": str(ENVIRONMENTS)}
    )
    assert done.returncode == 0, done.stderr
    assert (directory / "results" / "report.html").is_file()
    (run,) = Job(directory, ixmp4_warm, linopy_warm, dsn).on_platform()
    assert run["variables"]["z"]["levels"] == [153.675]
    again = subprocess.run(
        [*command, "--dry-run"], capture_output=True, text=True,
        env={**clean, "JOBRUNNER_ENVS": str(ENVIRONMENTS)},
    )  # fmt: skip
    assert "Nothing to be done" in again.stdout + again.stderr
