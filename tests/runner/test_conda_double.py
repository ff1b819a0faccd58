"""The path on which a real conda makes the environments, walked with a test double of conda."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.environments import EnvironmentStore, environment_variables, resolve_mode
from tests.runner import conda_double
from tests.runner.environment_helpers import ROOT, environment_file

SNAKEFILE = """
rule all:
    input: "one.txt", "two.txt"

rule one:
    output: "one.txt"
    conda: "one.yaml"
    shell: "toytool > {output}"

rule two:
    output: "two.txt"
    conda: "two.yaml"
    shell: "toytool > {output}"
"""

# What an attempt does in mode `conda`: environments first, one job at a time, then the rules.
ATTEMPT = """
import subprocess, sys
from pathlib import Path
from runner.environments import creation_lock
prefix, *snakemake = sys.argv[1:]
command = [sys.executable, "-m", "snakemake", *snakemake, "--conda-prefix", prefix]
with creation_lock(Path(prefix)):
    subprocess.run([*command, "--conda-create-envs-only"], check=True)
subprocess.run(command, check=True)
"""


@pytest.fixture(scope="session")
def rattler() -> Path:
    """The interpreter of an environment with py-rattler, kept between test runs."""
    file = ROOT / ".cache" / "conda-double.yaml"
    environment_file(file, "py-rattler==0.28.0", "pyyaml")
    return EnvironmentStore().build(file) / "bin" / "python"


@pytest.fixture
def conda(tmp_path: Path, rattler: Path) -> Path:
    """The folder of a test double of conda, with a channel of two versions of one program."""
    conda_double.write_channel(tmp_path / "channel", {"toytool": ["1.0", "2.0"]})
    for name, version in {"one": "1.0", "two": "2.0"}.items():
        text = f"channels: ['{(tmp_path / 'channel').as_uri()}']\n"
        text += f"dependencies: ['toytool ={version}']\n"
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return conda_double.install_double(tmp_path / "conda", rattler, tmp_path / "created.txt")


def _environment(conda: Path) -> dict[str, str]:
    path = os.pathsep.join([str(conda), os.environ["PATH"]])
    mode = resolve_mode("auto", path)
    assert mode == "conda"
    return {**os.environ, "PATH": path, **environment_variables(mode)}


def _arguments(tmp_path: Path, job: str) -> list[str]:
    (tmp_path / job).mkdir()
    arguments = ["-s", str(tmp_path / "Snakefile"), "--directory", str(tmp_path / job)]
    return [*arguments, "--sdm", "conda", "--cores", "2"]


def test_two_rules_with_conflicting_packages_each_run_in_their_own(
    tmp_path: Path, conda: Path
) -> None:
    command = [sys.executable, "-m", "snakemake", *_arguments(tmp_path, "job")]
    answer = subprocess.run(
        command, env=_environment(conda), capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert (tmp_path / "job" / "one.txt").read_text() == "toytool 1.0\n"
    assert (tmp_path / "job" / "two.txt").read_text() == "toytool 2.0\n"


def test_two_jobs_that_start_together_create_each_environment_once(
    tmp_path: Path, conda: Path
) -> None:
    both = [
        subprocess.Popen(
            [sys.executable, "-c", ATTEMPT, str(tmp_path / "envs"), *_arguments(tmp_path, job)],
            env=_environment(conda),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for job in ("job-1", "job-2")
    ]
    for process in both:
        output = process.communicate(timeout=180)[0]
        assert process.returncode == 0, output
        assert "Removing incomplete" not in output
    for job in ("job-1", "job-2"):
        assert (tmp_path / job / "one.txt").read_text() == "toytool 1.0\n"
        assert (tmp_path / job / "two.txt").read_text() == "toytool 2.0\n"
    assert len((tmp_path / "created.txt").read_text().splitlines()) == 2
