"""Limits in real attempts: what Snakemake starts is held, measured, explained and cleaned up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner import launch, leader, processes, record
from runner.errors import InvalidConfiguration
from runner.events import Event
from runner.files import read_json, write_json
from runner.home import Home
from runner.jobdir import JobDirectory
from runner.limits import records, scratch
from runner.prepared import Prepared
from runner.state import JobState

from .limits_helpers import until

LIMITED = Path(__file__).resolve().parents[1] / "data" / "limited"
HOG = "python3 -c 'x = bytearray(500 << 20)'"
Make = Callable[..., Prepared]


@pytest.fixture
def limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a job of the type in ``tests/data/limited``, in a home whose path has a blank."""
    home = Home(tmp_path / "my home")
    home.releases.publish(str(LIMITED), "limited-1")
    profiles = home.path / "config" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "plain.yaml").write_text("platform: {embedded: none.db}\nenvironments: none\n")
    (tmp_path / "temporary files").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary files"))
    text = tmp_path / "text.txt"
    text.write_text("one\ntwo\n")

    def make(asked: dict[str, Any] | None = None, **params: str) -> Prepared:
        return launch.create(
            home, "limited", inputs={"text": text}, params=params, version="limited-1",
            profile_name="plain", asked=asked,
        )  # fmt: skip

    return make


def _stages(prepared: Prepared, status: str) -> dict[str, Event]:
    events = prepared.job.events.read()
    return {e["stage"]: e for e in events if e["kind"] == "stage" and e["status"] == status}


def _error(prepared: Prepared) -> dict[str, Any]:
    error = JobState(prepared.job_type, prepared.job.events.read()).error
    assert error is not None
    return error


def _left(tmp_path: Path, prepared: Prepared) -> list[Path]:
    running = prepared.job.attempts.glob("*/stages/*/running.*")
    return [*(tmp_path / "temporary files").glob("jobrunner-*"), *running]


@pytest.mark.parametrize("plain", [False, True], ids=["warm", "plain"])
def test_what_each_stage_used_is_in_its_event_and_in_the_record(
    limited: Make, tmp_path: Path, plain: bool
) -> None:
    prepared = limited(python="x = bytearray(150 << 20); import time; time.sleep(0.2)")
    assert prepared.start(prepared.options(plain=plain)).wait() == "succeeded"
    told = read_json(prepared.job.attempts / "1.json")["used"]["stages"]
    assert {name: used["runs"] for name, used in told.items()} == {
        "command": 1, "script": 1, "part": 3,
    }  # fmt: skip
    assert {name: e["used"] for name, e in _stages(prepared, "succeeded").items()} == told
    assert told["script"]["peak_mb"] > 150 > told["command"]["peak_mb"]
    state = JobState(prepared.job_type, prepared.job.events.read())
    assert state.stages["part"].as_dict()["used"] == told["part"]
    assert _left(tmp_path, prepared) == []


def test_each_rule_run_has_a_temporary_folder_of_its_own(limited: Make, tmp_path: Path) -> None:
    prepared = limited()
    assert prepared.start(prepared.options()).wait() == "succeeded"
    logs = [*prepared.job.logs.glob("part-*.log"), prepared.job.logs / "script.log"]
    logs.append(prepared.job.logs / "together.log")  # a rule that is no stage
    folders = {log.read_text().strip() for log in logs}
    assert len(folders) == 5
    assert {str(Path(folder).parent) for folder in folders} == {str(tmp_path / "temporary files")}


def test_outputs_are_the_same_with_and_without_the_stage_shell(
    limited: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for bare in (False, True):
        prepared = limited(command="date > /dev/null; echo $HOME")
        if bare:  # the folder that stands first on PATH has no bash in it
            monkeypatch.setattr("runner.limits.prepare", lambda *_, **__: tmp_path / "nothing")
        assert prepared.start(prepared.options()).wait() == "succeeded"
        files = [
            p for folder in ("work", "results") for p in (prepared.job.path / folder).iterdir()
        ]
        found.append({p.name: p.read_bytes() for p in files})
        used = read_json(prepared.job.attempts / "1.json")["used"]["stages"]
        assert bool(used) is not bare
    assert found[0] == found[1]


@pytest.mark.parametrize("stage", ["command", "script"])
def test_a_stage_over_its_memory_ends_with_out_of_memory_and_its_figures(
    limited: Make, tmp_path: Path, stage: str
) -> None:
    params = {"command": HOG} if stage == "command" else {"python": "x = bytearray(500 << 20)"}
    prepared = limited({"stages": {stage: {"mem_mb": 200}}}, **params)
    assert prepared.start(prepared.options()).wait() == "failed"
    error = _error(prepared)
    assert (error["code"], error["stage"], error["problems"]) == ("out_of_memory", stage, [])
    assert "200 MB" in error["message"]
    assert f"--resource {stage}:mem_mb=400" in error["message"]
    assert "used" in _stages(prepared, "failed")[stage]
    assert _left(tmp_path, prepared) == []


def test_a_rerun_may_ask_for_more_than_the_job_did(limited: Make) -> None:
    prepared = limited({"stages": {"command": {"mem_mb": 200}}}, command=HOG)
    assert prepared.start(prepared.options()).wait() == "failed"
    more = {"stages": {"command": {"mem_mb": 900}}}
    assert prepared.start(prepared.options(resources=more)).wait() == "succeeded"
    assert read_json(prepared.job.attempts / "2.json")["options"]["resources"] == more


def test_memory_goes_before_what_a_parent_says_about_its_killed_child(limited: Make) -> None:
    document = json.dumps({"code": "child_died", "message": "A child died.", "problems": []})
    prepared = limited(command=f"{HOG} || echo '{document}' > logs/command.error.json; exit 1")
    assert prepared.start(prepared.options()).wait() == "failed"
    assert _error(prepared)["code"] == "out_of_memory"


def test_memory_is_recognised_where_there_is_no_control_group(
    limited: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBRUNNER_LIMITS", "rlimit")
    prepared = limited(command=HOG)
    assert prepared.start(prepared.options()).wait() == "failed"
    error = _error(prepared)
    assert error["code"] == "out_of_memory"
    assert "300 MB" in error["message"]
    assert "RLIMIT_DATA" in error["message"]


def test_what_a_stage_says_itself_goes_before_words_in_its_log(
    limited: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBRUNNER_LIMITS", "rlimit")
    document = json.dumps({"code": "no_model", "message": "The model is empty."})
    command = f"echo std::bad_alloc; echo '{document}' > logs/command.error.json; exit 1"
    prepared = limited(command=command)
    assert prepared.start(prepared.options()).wait() == "failed"
    assert _error(prepared)["code"] == "no_model"


def test_a_stage_may_take_longer_than_the_whole_if_that_is_asked_for(limited: Make) -> None:
    asked = {"runtime": 0.02, "stages": {"command": {"runtime": 1}}}
    prepared = limited(asked, command="sleep 3; exit 3")
    attempt = prepared.start(prepared.options())
    assert attempt.wait(60) == "failed"  # by itself, and not stopped after a second
    assert _error(prepared)["code"] == "stage_failed"


def test_an_attempt_over_its_time_says_how_to_ask_for_more(limited: Make) -> None:
    prepared = limited({"runtime": 0.05}, python="import time; time.sleep(60)")
    prepared.start(prepared.options(runtime=0.03)).wait(60)
    error = _error(prepared)
    assert (error["code"], error["stage"]) == ("time_limit", None)
    assert "--resource runtime=0.06" in error["message"]


def test_a_colon_in_the_path_is_refused_because_limits_would_not_hold(limited: Make) -> None:
    prepared = limited()
    moved = prepared.job.path.with_name("a:colon")
    prepared.job.path.rename(moved)
    prepared = replace(prepared, job=JobDirectory.open(moved))
    with pytest.raises(InvalidConfiguration, match="a:colon: a colon in the path"):
        prepared.start(prepared.options())
    assert not leader.is_alive(moved)
    assert list(prepared.job.attempts.glob("*.json")) == []


def test_without_path_programs_are_looked_for_where_the_system_has_them(
    limited: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = limited()
    monkeypatch.delenv("PATH")
    assert prepared.start(prepared.options()).wait() == "succeeded"


@pytest.mark.parametrize("boot", ["this", "earlier"])
def test_temporary_folders_of_this_machine_are_removed_also_after_it_was_restarted(
    limited: Make, tmp_path: Path, boot: str
) -> None:
    prepared = limited()
    record.begin(prepared.job, 1, [], prepared.options())
    began = read_json(prepared.job.attempts / "1.json")
    began |= {"supervisor": _dead()} | ({"boot_id": "another"} if boot == "earlier" else {})
    write_json(prepared.job.attempts / "1.json", began)
    folder = prepared.job.attempts / "1" / "stages" / "command"
    folder.mkdir(parents=True)
    left = {name: tmp_path / f"jobrunner-{name}" for name in (scratch.host(), "elsewhere")}
    for name, place in left.items():
        (place / "inner").mkdir(parents=True)
        note = folder / f"running.{name}.{_dead()}.json"
        write_json(note, {"tmpdir": str(place), "groups": ""})
    record.close_interrupted(prepared.job)
    assert {name: place.exists() for name, place in left.items()} == {
        scratch.host(): False, "elsewhere": True,
    }  # fmt: skip
    assert [note.name.split(".")[1] for note in folder.glob("running.*")] == ["elsewhere"]


def _dead() -> int:
    """Give the number of a process that has ended."""
    with subprocess.Popen(["true"]) as process:
        return process.pid


def test_a_stage_over_its_time_ends_with_time_limit(limited: Make) -> None:
    prepared = limited({"stages": {"command": {"runtime": 0.02}}}, command="sleep 60")
    assert prepared.start(prepared.options()).wait(60) == "failed"
    error = _error(prepared)
    assert (error["code"], error["stage"]) == ("time_limit", "command")
    assert "after 0.02 minutes" in error["message"]


def test_a_job_over_its_disk_ends_with_disk_limit(limited: Make) -> None:
    prepared = limited({"disk_mb": 10}, command="head -c 30000000 /dev/zero > work/big")
    assert prepared.start(prepared.options()).wait() == "failed"
    error = _error(prepared)
    assert (error["code"], error["stage"]) == ("disk_limit", "command")
    assert "10 MB" in error["message"]


@pytest.mark.parametrize("shell_too", [False, True])
def test_nothing_of_a_stage_is_left_when_the_leader_is_killed(
    limited: Make, tmp_path: Path, shell_too: bool
) -> None:
    prepared = limited(command="setsid sleep 4715 & touch work/ready; sleep 4716")
    attempt = prepared.start(prepared.options())
    until((prepared.job.path / "work" / "ready").exists)
    (note,) = prepared.job.attempts.glob("1/stages/command/running.*.json")
    groups = json.loads(note.read_text())["groups"].splitlines()
    if shell_too:
        os.kill(attempt.pid, signal.SIGSTOP)
        os.kill(int(note.stem.rpartition(".")[2]), signal.SIGKILL)
    os.kill(attempt.pid, signal.SIGKILL)
    assert attempt.wait(60) == "interrupted"
    assert list(processes.survivors(f"{prepared.job.id}:1")) == []
    assert _left(tmp_path, prepared) == []
    assert not any(Path(group).exists() for group in groups if group)


def test_nothing_of_a_stage_is_left_when_it_is_cancelled(limited: Make, tmp_path: Path) -> None:
    command = "trap 'touch work/cleaned; exit 9' INT; touch work/ready; sleep 30 & wait"
    prepared = limited(command=command)
    attempt = prepared.start(prepared.options())
    until((prepared.job.path / "work" / "ready").exists)
    assert attempt.stop() == "cancelled"
    assert (prepared.job.path / "work" / "cleaned").exists()
    assert not leader.is_alive(prepared.job.path)
    assert _left(tmp_path, prepared) == []


def test_what_a_cluster_says_about_a_rule_goes_before_the_stage_itself(limited: Make) -> None:
    from runner import outcome

    prepared = limited()
    folder = prepared.job.attempts / "1"
    said = folder / "slurm" / "command.3" / "failure.json"
    said.parent.mkdir(parents=True)
    failure = {"code": "node_failed", "message": "Node n1 failed.", "stage": "command"}
    said.write_text(json.dumps({**failure, "problems": []}))
    own = prepared.job.logs / "command.error.json"
    own.write_text(json.dumps({"code": "own", "message": "own", "problems": []}))
    assert outcome.of_rule(prepared.job, folder, "command")["code"] == "node_failed"
    note = {"over": "memory", "limit": 100, "peak_mb": 99, "by": "cgroup v2", "started": ""}
    used = folder / "stages" / "command" / "used.host.1.json"
    used.parent.mkdir(parents=True)
    used.write_text(json.dumps(note))
    assert outcome.of_rule(prepared.job, folder, "command")["code"] == "out_of_memory"
    assert records.runs(folder, "command") == [note]
