"""Composite jobs: one Snakemake, and parts that are jobs of their own type to people."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner import launch, sub_jobs
from runner.errors import InvalidRequest, NotFound
from runner.home import Home
from runner.jobdir import JobDirectory
from runner.jobtype import JobType
from runner.prepared import Prepared
from runner.state import JobState
from tests.composite import pair_source

WAIT = "for i in $(seq 600); do test -e {1} && break; sleep 0.05; done; test -e {1}"
MEETING = "touch {0}; " + WAIT
Pair = Callable[..., Prepared]


@pytest.fixture
def pair(home: Home, toy: object, text_file: Path, tmp_path: Path) -> Pair:
    """Make a job of the composite type with parameters of its sub-jobs."""
    home.releases.publish(str(pair_source(tmp_path)), "pair-1")

    def make(**params: dict[str, Any]) -> Prepared:
        return launch.create(
            home, "pair", inputs={"text": text_file}, params=params, profile_name="plain"
        )

    return make


def _run(prepared: Prepared, **options: object) -> str:
    outcome = prepared.start(prepared.options(**options)).wait()
    assert outcome is not None
    return outcome


def _state(prepared: Prepared, name: str) -> JobState:
    part = sub_jobs.directory(prepared.job, name)
    return JobState(prepared.job_type.sub_job(name).type, part.events.read())


def _statuses(prepared: Prepared) -> dict[str, str]:
    return {name: _state(prepared, name).status for name in sub_jobs.names(prepared.job)}


def _ran(prepared: Prepared, attempt: int) -> list[str]:
    events = prepared.job.events.read()
    return [
        event["stage"]
        for event in events
        if event["kind"] == "stage"
        and event["attempt"] == attempt
        and event["status"] == "succeeded"
    ]


def test_each_part_has_its_own_status_stages_log_and_files(pair: Pair) -> None:
    prepared = pair()
    assert _statuses(prepared) == dict.fromkeys(("left", "right", "apart"), "queued")
    assert _run(prepared) == "succeeded"
    assert _statuses(prepared) == dict.fromkeys(("left", "right", "apart"), "succeeded")
    for part in sub_jobs.directories(prepared.job):
        assert part.id == f"{prepared.job.id}.{part.path.name}"
        assert part.type == "toy"
        state = _state(prepared, part.path.name)
        assert {s.name: s.status for s in state.stages.values()} == dict.fromkeys(
            ("first", "second", "third"), "succeeded"
        )
        assert [artifact.path for artifact in part.artifacts()] == ["results/third.txt"]
        log = (part.logs / "job.log").read_text()
        assert log.index("_first started") < log.index("_third finished")
    assert (prepared.job.path / "results" / "sum.txt").read_text().split() == ["3", "2", "3"]


def test_parts_run_side_by_side_where_nothing_orders_them(pair: Pair, tmp_path: Path) -> None:
    meet = {
        "left": {"command": MEETING.format(tmp_path / "left", tmp_path / "apart")},
        "apart": {"command": MEETING.format(tmp_path / "apart", tmp_path / "left")},
    }
    assert _run(pair(**meet)) == "succeeded"


def test_what_fails_is_told_of_its_part_and_the_rest_is_not_done(pair: Pair) -> None:
    prepared = pair(left={"command": "echo 'no such word'; exit 3"})
    attempt = prepared.start(prepared.options())
    assert attempt.wait() == "failed"
    assert attempt.error is not None
    assert attempt.error["stage"] == "left_second"
    assert "sub_jobs/left/logs/second.log" in attempt.error["message"]
    assert _statuses(prepared)["left"] == "failed"
    assert _statuses(prepared)["right"] == "cancelled"
    error = _state(prepared, "left").error
    assert error is not None
    assert error["stage"] == "second"
    assert "no such word" in error["message"]
    assert "(logs/second.log)" in error["message"]
    notes = [e["message"] for e in sub_jobs.directory(prepared.job, "right").events.read()
             if e["kind"] == "note"]  # fmt: skip
    assert notes == ["Not done, because another part of the job failed."]


def test_a_part_says_like_its_job_that_a_module_could_not_be_loaded(pair: Pair) -> None:
    said = "printf 'load statistics\\nn1\\n/modules\\nno such module\\n'"
    prepared = pair(left={"command": f'{said} > "$JOBRUNNER_STAGE/module.failed"; exit 1'})
    attempt = prepared.start(prepared.options())
    assert attempt.wait() == "failed"
    of_whole, of_part = attempt.error, _state(prepared, "left").error
    assert of_whole is not None
    assert of_part is not None
    assert (of_whole["code"], of_whole["stage"]) == ("environment_failed", "left_second")
    assert of_part == {**of_whole, "stage": "second"}


def test_a_part_knows_what_its_stages_used_and_that_one_took_too_much(pair: Pair) -> None:
    prepared = pair(left={"command": "python3 -c 'x = bytearray(3000 << 20)'"})
    assert _run(prepared) == "failed"
    state = _state(prepared, "left")
    used = state.stages["first"].used
    assert used is not None
    assert used["peak_mb"] > 0
    assert state.error is not None
    assert (state.error["code"], state.error["stage"]) == ("out_of_memory", "second")
    assert "--resource left_second:mem_mb=" in state.error["message"]


def test_a_failed_job_goes_on_with_the_parts_that_are_missing(pair: Pair, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    prepared = pair(left={"command": f"test -e {flag}"})
    assert _run(prepared) == "failed"
    flag.touch()
    assert _run(prepared) == "succeeded"
    assert set(_statuses(prepared).values()) == {"succeeded"}
    assert "left_first" not in _ran(prepared, 2)
    log = (sub_jobs.directory(prepared.job, "left").logs / "job.log").read_text()
    assert "left_second failed" in log
    assert "left_second finished" in log


def test_a_part_is_rerun_alone(pair: Pair) -> None:
    prepared = pair()
    _run(prepared)
    assert _run(prepared, sub_job="left", stage="second") == "succeeded"
    assert set(_ran(prepared, 2)) <= {"left_second", "left_third"}
    assert "left_second" in _ran(prepared, 2)
    assert _state(prepared, "left").stages["second"].attempt == 2
    assert _state(prepared, "right").stages["first"].attempt == 1
    assert _run(prepared, sub_job="left", stage="second", only=True) == "succeeded"
    assert _ran(prepared, 3) == ["left_second"]


def test_a_part_that_is_rerun_alone_does_not_make_its_job_succeed(
    pair: Pair, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    prepared = pair(left={"command": f"test -e {flag}"})
    assert _run(prepared) == "failed"
    flag.touch()
    assert _run(prepared, sub_job="left") == "succeeded"
    state = JobState(prepared.job_type, prepared.job.events.read())
    assert state.error is not None
    assert (state.status, state.error["code"]) == ("failed", "incomplete")
    assert _statuses(prepared)["left"] == "succeeded"
    assert _statuses(prepared)["right"] == "cancelled"
    assert _run(prepared) == "succeeded"
    assert JobState(prepared.job_type, prepared.job.events.read()).status == "succeeded"
    assert _run(prepared, sub_job="left", stage="first") == "succeeded"
    assert JobState(prepared.job_type, prepared.job.events.read()).status == "succeeded"


def test_a_part_that_was_rerun_ends_once(pair: Pair) -> None:
    prepared = pair()
    _run(prepared)
    _run(prepared, stage="left_first")
    statuses = [e["status"] for e in sub_jobs.directory(prepared.job, "left").events.read()
                if e["kind"] == "status"]  # fmt: skip
    assert statuses == ["queued", "running", "succeeded", "running", "succeeded"]


def test_a_cancelled_job_cancels_the_parts_that_have_not_ended(pair: Pair, tmp_path: Path) -> None:
    started = tmp_path / "started"
    prepared = pair(apart={"command": f"touch {started}; exec sleep 600"})
    attempt = prepared.start(prepared.options())
    _await(lambda: started.exists() and "right_third" in _ran(prepared, 1))
    assert attempt.stop() == "cancelled"
    assert _statuses(prepared) == {
        "left": "succeeded", "right": "succeeded", "apart": "cancelled"
    }  # fmt: skip
    assert _state(prepared, "apart").stages["second"].status == "stopped"


def test_a_killed_job_goes_on_with_its_parts(pair: Pair, tmp_path: Path) -> None:
    started = tmp_path / "started"
    command = f"test -e {started} || {{ touch {started}; exec sleep 600; }}"
    prepared = pair(apart={"command": command})
    attempt = prepared.start(prepared.options())
    _await(started.exists)
    os.killpg(attempt.pid, signal.SIGKILL)
    assert attempt.wait() == "interrupted"
    assert _statuses(prepared)["apart"] == "queued"
    assert _run(prepared) == "succeeded"
    assert set(_statuses(prepared).values()) == {"succeeded"}


def test_events_of_parts_are_the_same_whoever_writes_them_and_when(pair: Pair) -> None:
    prepared = pair()
    _run(prepared)
    written = {
        part.id: part.events.path.read_bytes() for part in sub_jobs.directories(prepared.job)
    }
    threads = [threading.Thread(target=sub_jobs.sync, args=(prepared.job,)) for _ in range(4)]
    for part in sub_jobs.directories(prepared.job):
        part.events.path.unlink()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = {part.id: part.events.path.read_bytes() for part in sub_jobs.directories(prepared.job)}
    assert again == written


def test_a_part_taken_by_itself_is_a_job_directory_of_its_type(pair: Pair, tmp_path: Path) -> None:
    prepared = pair(left={"word": "seven"})
    _run(prepared)
    snakefile = prepared.job_type.folder.parent / "toy" / "Snakefile"
    for name in ("left", "right"):
        part = sub_jobs.directory(prepared.job, name).path
        config = yaml.safe_load((part / "job.yaml").read_text())
        assert config["id"] == f"{prepared.job.id}.{name}"
        command = [sys.executable, "-m", "snakemake", "-s", snakefile, "--directory", part,
                   "--configfile", part / "job.yaml", "--cores", "1", "--forceall"]  # fmt: skip
        before = (part / "results" / "third.txt").read_text()
        subprocess.run(command, check=True, capture_output=True)
        assert (part / "results" / "third.txt").read_text() == before


def test_bare_snakemake_runs_a_composite_job_of_a_hand_written_request(
    tmp_path: Path, text_file: Path
) -> None:
    job = tmp_path / "job"
    (job / "input").mkdir(parents=True)
    (job / "input" / "words.txt").write_text(text_file.read_text())
    toy = {"word": "word", "command": "true"}
    request = {"id": "trial", "inputs": {"text": {"path": "input/words.txt"}}}
    request["params"] = {"left": toy, "right": toy, "apart": toy}
    (job / "job.yaml").write_text(yaml.safe_dump(request))
    snakefile = pair_source(tmp_path) / "workflow" / "pair" / "Snakefile"
    command = [sys.executable, "-m", "snakemake", "-s", snakefile, "--directory", job,
               "--configfile", job / "job.yaml", "--cores", "2"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    assert (job / "results" / "sum.txt").read_text().split() == ["3", "2", "3"]


def test_parameters_of_parts_are_checked_with_their_own_schemas(pair: Pair) -> None:
    with pytest.raises(InvalidRequest) as raised:
        pair(left={"word": "much too long a word"}, apart={"sword": "x"}, right={"word": "x"})
    pointers = {problem["pointer"] for problem in raised.value.problems}
    assert pointers == {"/params/left/word", "/params/apart", "/params/right"}
    params = pair(left={"word": "seven"}).job.config["params"]
    assert params["left"] == {"word": "seven", "command": "true"}
    assert params["right"] == {"word": "fixed", "command": "true"}


def test_a_part_that_is_not_there_is_named_with_those_that_are(pair: Pair) -> None:
    prepared = pair()
    with pytest.raises(NotFound, match="left, right, apart"):
        sub_jobs.directory(prepared.job, "middle")
    with pytest.raises(InvalidRequest, match="left, right, apart"):
        prepared.options(sub_job="middle")
    with pytest.raises(InvalidRequest, match="first, second, third"):
        prepared.options(sub_job="left", stage="left_first")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"left": {"type": "pair"}}, "composite"),
        ({"Left_1": {"type": "toy"}}, "small letters"),
        ({"left": {"type": "nowhere"}}, "nowhere"),
    ],
)
def test_a_composite_type_that_cannot_be_is_refused(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    folder = pair_source(tmp_path) / "workflow" / "outer"
    folder.mkdir()
    for name in ("Snakefile", "params.schema.yaml"):
        (folder / name).write_text((folder.parent / "pair" / name).read_text())
    text = yaml.safe_load((folder.parent / "pair" / "jobtype.yaml").read_text())
    (folder / "jobtype.yaml").write_text(yaml.safe_dump({**text, "sub_jobs": change}))
    with pytest.raises(Exception, match=said):
        JobType.load(folder)


def test_the_command_line_shows_a_part_as_a_job(pair: Pair, home: Home) -> None:
    prepared = pair(left={"command": "echo 'not today'; exit 1"})
    _run(prepared)

    def call(*words: str) -> str:
        command = [sys.executable, "-m", "runner", *words, "--home", str(home.path)]
        return subprocess.run(command, capture_output=True, text=True).stdout

    shown = json.loads(call("status", f"{prepared.job.id}.left", "--json"))
    assert (shown["id"], shown["type"], shown["status"]) == (
        f"{prepared.job.id}.left", "toy", "failed"
    )  # fmt: skip
    whole = json.loads(call("status", prepared.job.id, "--json"))
    assert [part["status"] for part in whole["sub_jobs"]][:2] == ["failed", "cancelled"]
    assert "not today" in call("logs", f"{prepared.job.id}.left", "--stage", "second")
    assert "not today" in call("logs", prepared.job.id, "--stage", "left_second")
    assert "left_second failed" in call("logs", f"{prepared.job.id}.left")
    folder = prepared.job.path / "sub_jobs" / "left"
    assert json.loads(call("status", str(folder), "--json"))["id"] == f"{prepared.job.id}.left"
    text = call("status", prepared.job.id)
    assert "Left" in text
    assert "toy" in text


def test_a_job_directory_knows_where_the_logs_of_a_stage_are(tmp_path: Path) -> None:
    job = JobDirectory(tmp_path, {"id": "J", "type": "pair", "sub_jobs": {"left": {}}})
    assert job.of_stage("left_first") == (tmp_path / "sub_jobs" / "left", "first")
    assert job.of_stage("sum") == (tmp_path, "sum")


def _await(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something outside this process, looking often; fail after `seconds`."""
    pause, waited = threading.Event(), 0.0
    while not condition():
        assert waited < seconds, "it did not happen in time"
        pause.wait(0.02)
        waited += 0.02
