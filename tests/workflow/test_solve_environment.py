"""Which environment a model plug-in is run in: the job's, the repository's, or the usual one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.snakefile import rules
from tests.conftest import ROOT

SNAKEFILE = ROOT / "workflow" / "solve_scenario" / "Snakefile"
REQUEST = {"id": "J", "params": {"model": "transport problem", "scenario": "standard"}}
OWN = "name: own\ndependencies: [python=3.11, pip, pip: [pandas==2.2.3]]\n"
PLUGIN = ("build", "solve")


def _environments(**config: Any) -> dict[str, Path]:
    """Give the environment file of each rule, in Snakemake's own reading."""
    found = rules(SNAKEFILE, {**REQUEST, **config})
    return {r.name: Path(r.folder, r.environment).resolve() for r in found if r.environment}


def _processing(folder: Path, *files: str) -> dict[str, Any]:
    """Make the section `processing` of a job whose repository has these environment files."""
    folder.mkdir()
    for name in files:
        (folder / name).write_text(OWN)
    made = folder.parent / "requirements.yaml"  # as a pin makes it of requirements.txt
    made.write_text(OWN)
    return {"checkout": str(folder), "environment": str(made), "entry": "main"}


def test_a_job_with_nothing_of_its_own_is_solved_with_linopy() -> None:
    found = _environments()
    assert {found[rule] for rule in PLUGIN} == {ROOT / "envs" / "linopy.yaml"}


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ((), "requirements.yaml"),
        (("environment.yaml",), "checkout/environment.yaml"),
        (("environment.yml",), "checkout/environment.yml"),
        (("environment.yml", "environment.yaml"), "checkout/environment.yaml"),
    ],
)
def test_the_environment_file_of_a_processing_repository_goes_before_its_requirements(
    tmp_path: Path, files: tuple[str, ...], chosen: str
) -> None:
    found = _environments(processing=_processing(tmp_path / "checkout", *files))
    assert {found[rule] for rule in PLUGIN} == {tmp_path / chosen}


def test_an_environment_that_was_submitted_goes_before_that_of_the_repository(
    tmp_path: Path,
) -> None:
    submitted = tmp_path / "own.yaml"
    submitted.write_text(OWN)
    processing = _processing(tmp_path / "checkout", "environment.yaml")
    inputs = {"environment": {"path": str(submitted)}}
    found = _environments(processing=processing, inputs=inputs)
    assert {found[rule] for rule in PLUGIN} == {submitted}


def test_stages_that_talk_to_the_platform_have_no_environment_of_others(tmp_path: Path) -> None:
    usual = _environments()
    found = _environments(processing=_processing(tmp_path / "checkout", "environment.yaml"))
    kept = set(usual) - set(PLUGIN)
    assert kept == {"load", "store", "report"}
    assert {rule: found[rule] for rule in kept} == {rule: usual[rule] for rule in kept}
