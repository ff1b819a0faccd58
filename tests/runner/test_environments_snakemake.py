"""A real Snakemake, knowing nothing of the runner, with the stand-in's folder on PATH."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.environments import EnvironmentStore, standin_folder
from tests.runner.environment_helpers import builds, environment_file

SNAKEFILE = """
rule all:
    input: "one.txt", "two.txt"

rule one:
    output: "one.txt"
    conda: "envs/one.yaml"
    shell: "python -c 'import packaging; print(packaging.__version__)' > {output}"

rule two:
    output: "two.txt"
    conda: "envs/two.yaml"
    shell: "python -c 'import packaging; print(packaging.__version__)' > {output}"
"""


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    folder = tmp_path / "workflow"
    environment_file(folder / "envs" / "one.yaml", "packaging==24.1")
    environment_file(folder / "envs" / "two.yaml", "packaging==24.2")
    (folder / "Snakefile").write_text(SNAKEFILE)
    return folder


def _start(workflow: Path, job: Path, root: Path, *more: str) -> subprocess.Popen[str]:
    """Start a bare Snakemake: all that it gets of the runner is the folder on PATH."""
    job.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "snakemake", "-s", str(workflow / "Snakefile")]
    command += ["--directory", str(job), "--sdm", "conda", "--cores", "2", *more]
    path = os.pathsep.join([str(standin_folder(root)), os.environ["PATH"]])
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**{k: v for k, v in os.environ.items() if "JOBRUNNER" not in k}, "PATH": path},
    )


def _finish(process: subprocess.Popen[str]) -> str:
    output = process.communicate(timeout=180)[0]
    assert process.returncode == 0, output
    return output


def test_two_rules_with_conflicting_packages_each_run_in_their_own(
    workflow: Path, tmp_path: Path
) -> None:
    root = tmp_path / "envs"
    _finish(_start(workflow, tmp_path / "job", root))
    assert (tmp_path / "job" / "one.txt").read_text() == "24.1\n"
    assert (tmp_path / "job" / "two.txt").read_text() == "24.2\n"
    assert len(builds(root)) == 2
    # the same, built by the runner ahead of a job: nothing is left to build
    EnvironmentStore(root).build(workflow / "envs" / "one.yaml")
    _finish(_start(workflow, tmp_path / "another job", root))
    assert (tmp_path / "another job" / "one.txt").read_text() == "24.1\n"
    assert len(builds(root)) == 2


@pytest.mark.parametrize("shared_prefix", [False, True], ids=["own prefix", "shared prefix"])
def test_two_jobs_that_start_together_build_once(
    workflow: Path, tmp_path: Path, shared_prefix: bool
) -> None:
    root, more = tmp_path / "envs", []
    if shared_prefix:
        more = ["--conda-prefix", str(tmp_path / "conda")]
    both = [_start(workflow, tmp_path / name, root, *more) for name in ("job-1", "job-2")]
    for process in both:
        assert "Removing incomplete" not in _finish(process)
    for name in ("job-1", "job-2"):
        assert (tmp_path / name / "one.txt").read_text() == "24.1\n"
        assert (tmp_path / name / "two.txt").read_text() == "24.2\n"
    assert len(builds(root)) == 2


def test_a_package_that_needs_conda_stops_the_run_and_is_named(
    workflow: Path, tmp_path: Path
) -> None:
    (workflow / "envs" / "one.yaml").write_text("dependencies: [python, r-base =4.3]\n")
    process = _start(workflow, tmp_path / "job", tmp_path / "envs")
    output = process.communicate(timeout=180)[0]
    assert process.returncode != 0
    assert "r-base =4.3" in output
    assert "Miniforge" in output
    assert not (tmp_path / "job" / "one.txt").exists()
