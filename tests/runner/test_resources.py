"""What a job gets: defaults, what is asked for, bounds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner import profile, resources
from runner.errors import InvalidRequest
from runner.home import Home
from runner.jobtype import JobType
from runner.prepared import Prepared

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def job_type() -> JobType:
    found = JobType.load(ROOT / "tests" / "data" / "toy" / "workflow" / "toy")
    first, *others = found.stages
    stages = (replace(first, resources={"mem_mb": 500}), *others)
    return replace(found, stages=stages, resources={"cores": 2, "mem_mb": 4000, "runtime": 60})


def _profile(tmp_path: Path, text: str = "") -> profile.Profile:
    folder = tmp_path / "config" / "profiles"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("platform: {embedded: platform.db}\n" + text)
    return profile.load("mine", tmp_path)


def test_a_stage_has_what_its_type_declares_for_it_else_what_the_whole_has(
    tmp_path: Path, job_type: JobType
) -> None:
    first, second = job_type.stage_names[:2]
    plan = resources.resolve(job_type, _profile(tmp_path))
    assert plan.stages[first] == {"cores": 2, "mem_mb": 500, "runtime": 60}
    assert plan.stages[second] == {"cores": 2, "mem_mb": 4000, "runtime": 60}
    assert plan.declared[second] == {}


def test_what_is_asked_for_a_stage_goes_before_all_else(tmp_path: Path, job_type: JobType) -> None:
    first, second = job_type.stage_names[:2]
    asked = {"mem_mb": 8000, "stages": {second: {"mem_mb": 9000}}}
    text = f"types: {{toy: {{mem_mb: 1, stages: {{{second}: {{mem_mb: 2, cores: 3}}}}}}}}"
    plan = resources.resolve(job_type, _profile(tmp_path, text), asked)
    assert plan.stages[second] == {"cores": 3, "mem_mb": 9000, "runtime": 60}
    assert plan.stages[first]["mem_mb"] == 500


def test_an_attempt_may_take_what_its_widest_stage_may(tmp_path: Path, job_type: JobType) -> None:
    asked = {"stages": {job_type.stage_names[1]: {"mem_mb": 9000, "cores": 4, "runtime": 900}}}
    plan = resources.resolve(job_type, _profile(tmp_path), asked)
    assert plan.attempt == {"cores": 4, "mem_mb": 9000, "runtime": 900}
    assert plan.stages[job_type.stage_names[0]]["runtime"] == 60
    plan = resources.resolve(job_type, _profile(tmp_path / "bound", "limits: {runtime: 90}"), asked)
    assert plan.attempt["runtime"] == 90


def test_nothing_gets_more_than_profile_and_instance_allow(
    tmp_path: Path, job_type: JobType
) -> None:
    stages = f"{{{job_type.stage_names[1]}: {{mem_mb: 9999}}}}"
    text = f"limits: {{mem_mb: 3000}}\ntypes: {{toy: {{stages: {stages}}}}}"
    plan = resources.resolve(job_type, _profile(tmp_path, text), None, {"mem_mb": 2000, "cores": 1})
    assert {own["mem_mb"] for own in plan.stages.values()} == {500, 2000}
    assert plan.attempt["mem_mb"] == 2000
    assert plan.attempt["cores"] == 1


def test_all_that_is_wrong_with_what_is_asked_for_is_said_at_once(
    tmp_path: Path, job_type: JobType
) -> None:
    second = job_type.stage_names[1]
    asked: dict[str, Any] = {
        "mem_mb": 8000,
        "cores": "many",
        "memory": 1,
        "runtime": 0,
        "gpu": 1.5,
        "stages": {"nosuch": {"cores": 1}, second: {"cores": 5}},
    }
    with pytest.raises(InvalidRequest) as refusal:
        resources.check(job_type, _profile(tmp_path, "limits: {mem_mb: 4000}"), asked, {"cores": 4})
    found = {problem["pointer"]: problem["message"] for problem in refusal.value.problems}
    assert found["/resources/mem_mb"] == (
        "Profile mine allows 4000 MB of memory; 8000 MB of memory were asked for."
    )
    assert found[f"/resources/stages/{second}/cores"] == (
        "The instance allows 4 cores; 5 cores were asked for."
    )
    assert set(found) == {
        "/resources/mem_mb",
        "/resources/cores",
        "/resources/memory",
        "/resources/runtime",
        "/resources/gpu",
        "/resources/stages/nosuch",
        f"/resources/stages/{second}/cores",
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, 10**400, -1, True, None, {}])
def test_what_is_no_amount_is_refused_in_words(
    tmp_path: Path, job_type: JobType, value: object
) -> None:
    asked = dict.fromkeys(resources.NAMES, value)
    with pytest.raises(InvalidRequest) as refusal:
        resources.check(job_type, _profile(tmp_path), asked)
    assert len(refusal.value.problems) == len(resources.NAMES)


def test_numbers_are_whole_but_minutes(tmp_path: Path, job_type: JobType) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        resources.check(job_type, _profile(tmp_path), dict.fromkeys(resources.NAMES, 2.0))
    found = {problem["pointer"]: problem["message"] for problem in refusal.value.problems}
    assert set(found) == {f"/resources/{name}" for name in resources.NAMES if name != "runtime"}
    assert found["/resources/cores"] == "cores: 2.0 is no whole number, written without a point."


@pytest.mark.parametrize("stages", [5, ["first"], {"first": 5}, {"first": None}])
def test_stages_that_are_no_objects_are_refused(
    tmp_path: Path, job_type: JobType, stages: object
) -> None:
    with pytest.raises(InvalidRequest, match="is no object of"):
        resources.check(job_type, _profile(tmp_path), {"stages": stages})


def test_cores_of_a_run_have_the_bound_of_the_profile(toy: Callable[..., Prepared]) -> None:
    prepared = toy()
    assert prepared.options(cores=2).cores == 2
    with pytest.raises(InvalidRequest, match="Profile plain allows 2 cores; 3 cores were asked"):
        prepared.options(cores=3)
    assert prepared.options(cores=3, caps={}).cores == 2  # counted by a worker before it was less


def test_the_command_line_refuses_wrong_amounts(home: Home, text_file: Path) -> None:
    command = [sys.executable, "-m", "runner", "run", "toy", "--home", str(home.path)]
    command += ["--input", f"text={text_file}"]

    def refused(*amounts: str) -> str:
        words = [word for amount in amounts for word in ("--resource", amount)]
        answer = subprocess.run([*command, *words], capture_output=True, text=True)
        assert answer.returncode == 2
        assert "Traceback" not in answer.stderr
        return answer.stderr

    text = refused("mem_mb=NaN", "disk_mb=Infinity", "runtime=NaN", "cores=2.0", "first:gpu=1e400")
    assert [line.split(":")[0] for line in text.removeprefix("Error: ").splitlines()] == [
        "mem_mb", "disk_mb", "runtime", "cores", "gpu",
    ]  # fmt: skip
    assert "mem_mb: nan is no number above 0." in text
    assert "write --resource STAGE:NAME=VALUE" in refused("stages=5")
    assert not list(home.jobs.glob("*/*/*/*"))
