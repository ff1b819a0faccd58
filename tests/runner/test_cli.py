from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.home import Home
from runner.prepared import Prepared
from tests.conftest import ROOT

from .test_attempt import WAITS, _await

Runner = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def jobrunner(home: Home, toy: Callable[..., Prepared]) -> Runner:
    """Run the command line in a process of its own, with the toy's home."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "runner", *arguments]
        environment = {**os.environ, "JOBRUNNER_HOME": str(home.path), "COLUMNS": "200"}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    return run


@pytest.fixture
def submit(text_file: Path) -> list[str]:
    return ["run", "toy", "--input", f"text={text_file}", "--profile", "plain"]


def test_a_done_job_exits_0_and_its_document_names_stages_and_results(
    jobrunner: Runner, submit: list[str]
) -> None:
    answer = jobrunner(*submit, "--json")
    document = json.loads(answer.stdout)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert (document["type"], document["version"], document["status"]) == (
        "toy",
        "toy-1",
        "succeeded",
    )
    assert document["error"] is None
    assert [set(stage) for stage in document["stages"]] == [
        {"name", "status", "reason", "seconds", "used", "node", "slurm_job"}
    ] * 3
    assert document["results"]["count"]["path"] == "results/third.txt"
    assert (Path(document["directory"]) / "job.yaml").is_file()


def test_a_failed_job_exits_1_says_why_and_how_to_continue(
    jobrunner: Runner, submit: list[str]
) -> None:
    answer = jobrunner(*submit, "--param", "command=echo it broke; exit 1")
    assert answer.returncode == 1
    assert "Failed in stage second (stage_failed)" in answer.stdout
    assert "it broke" in answer.stdout
    assert "Run it again with: jobrunner rerun" in answer.stdout
    document = json.loads(jobrunner(*submit, "--param", "command=exit 1", "--json").stdout)
    assert document["status"] == "failed"
    assert set(document["error"]) == {"code", "message", "stage", "problems"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--param", "word=much-too-long-a-word"], "/params/word"),
        (["--param", "nonsense"], "write --param NAME=VALUE"),
        (["--param", "word=a", "--param", "word=b"], "given twice"),
        (["--input", "other=x"], "no such input"),
        (["--until", "fourth"], "no stage 'fourth'"),
        (["--profile", "local", "--cores", "3"], "Profile local allows 2 cores"),
        (["--version", "toy-9"], "no release 'toy-9'"),
        (["--profile", "nowhere"], "no profile 'nowhere'"),
        (["--processing", "x"], "uses no processing repository"),
        (["--revision", "x"], "goes with --processing"),
    ],
)
def test_wrong_use_exits_2_says_what_and_leaves_no_job(
    jobrunner: Runner, submit: list[str], home: Home, options: list[str], said: str
) -> None:
    answer = jobrunner(*submit, *options)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    refusal = jobrunner(*submit, *options, "--json")
    assert refusal.returncode == 2
    assert said in json.loads(refusal.stdout)["error"]["message"]
    assert not list(home.jobs.rglob("job.yaml"))


def test_all_that_is_wrong_with_a_request_is_said_at_once(jobrunner: Runner) -> None:
    arguments = ["run", "toy", "--input", "other=x", "--param", "word=3", "--param", "more=1"]
    said = jobrunner(*arguments, "--profile", "plain").stderr
    assert "other: toy has no such input" in said
    assert "text: this input is required" in said
    assert "'more' was unexpected" in said


def test_plan_says_what_would_run_and_why_and_runs_nothing(
    jobrunner: Runner, submit: list[str], home: Home
) -> None:
    planned = json.loads(jobrunner("plan", *submit[1:], "--json").stdout)
    assert [(stage["name"], stage["runs"]) for stage in planned] == [
        ("first", True), ("second", True), ("third", True),
    ]  # fmt: skip
    assert "Missing output files" in planned[0]["reason"]
    assert not list(home.jobs.rglob("job.yaml"))
    document = json.loads(jobrunner(*submit, "--json", "--until", "second").stdout)
    for job in (document["directory"], document["id"]):
        planned = json.loads(jobrunner("plan", job, "--json").stdout)
        assert [stage["runs"] for stage in planned] == [False, False, True]


def test_status_logs_and_files_show_the_job(jobrunner: Runner, submit: list[str]) -> None:
    command = "echo hello from the stage"
    job = json.loads(jobrunner(*submit, "--param", f"command={command}", "--json").stdout)
    assert "succeeded" in jobrunner("status", job["directory"]).stdout
    assert json.loads(jobrunner("status", job["id"], "--json").stdout)["status"] == "succeeded"
    assert jobrunner("logs", job["id"], "--stage", "second").stdout == "hello from the stage\n"
    whole = jobrunner("logs", job["id"]).stdout
    assert "rule second" in whole
    assert "4 of 4 steps (100%) done" in whole
    (artifact,) = json.loads(jobrunner("files", job["id"], "--json").stdout)
    assert artifact["path"] == "results/third.txt"


def test_the_log_can_be_followed_to_the_end(
    jobrunner: Runner, toy: Callable[..., Prepared], tmp_path: Path, home: Home
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    prepared = toy(command=f"echo before; cat {gate}; echo after")
    attempt = prepared.start(prepared.options())
    command = [sys.executable, "-m", "runner", "logs", str(prepared.job.path), "--follow"]
    follower = subprocess.Popen(
        [*command, "--stage", "second"], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "JOBRUNNER_HOME": str(home.path)},
    )  # fmt: skip
    assert follower.stdout is not None
    assert follower.stdout.readline() == "before\n"
    gate.write_text("opened\n")
    assert attempt.wait() == "succeeded"
    assert follower.communicate()[0] == "opened\nafter\n"


def test_ctrl_c_stops_cleanly_and_says_how_to_continue(
    toy: Callable[..., Prepared],
    supervised: Callable[[Prepared], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    prepared = toy(command=WAITS.format(tmp_path))
    process = supervised(prepared)
    _await((tmp_path / "started").exists)
    process.send_signal(signal.SIGINT)
    output = process.communicate()[0].decode()
    assert process.returncode == 130
    assert f"Stopped. Continue with: jobrunner rerun {prepared.job.path}" in output
    assert "Traceback" not in output


def test_a_killed_attempt_is_shown_as_interrupted(
    jobrunner: Runner,
    toy: Callable[..., Prepared],
    supervised: Callable[[Prepared], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    prepared = toy(command=WAITS.format(tmp_path))
    process = supervised(prepared)
    _await((tmp_path / "started").exists)
    process.kill()
    answer = lambda: json.loads(jobrunner("status", prepared.job.id, "--json").stdout)["status"]  # noqa: E731
    _await(lambda: answer() == "interrupted")


def test_a_terminal_gets_a_table_and_a_pipe_gets_lines(
    jobrunner: Runner, submit: list[str]
) -> None:
    lines = jobrunner(*submit).stdout.splitlines()
    assert [line.split(" ", 1)[1].split(" ")[0] for line in lines[1:3]] == ["first:", "first:"]
    assert not any("\x1b" in line for line in lines)


def test_types_show_inputs_parameters_stages_and_versions(jobrunner: Runner) -> None:
    listed = json.loads(jobrunner("types", "--json").stdout)
    shipped = [path.parent.name for path in ROOT.glob("workflow/*/jobtype.yaml")]
    assert [found["name"] for found in listed] == sorted([*shipped, "toy"])
    toy = json.loads(jobrunner("types", "toy", "--json").stdout)
    assert (toy["versions"], toy["stages"][0]["title"]) == (["toy-1"], "First")
    shown = jobrunner("types", "import_timeseries").stdout
    assert "workbook" in shown
    assert "problems_listed" in shown


def test_doctor_prints_the_folder_for_a_bare_snakemake(jobrunner: Runner) -> None:
    found = {f["name"]: f for f in json.loads(jobrunner("doctor", "--json").stdout)}
    folder = Path(found["stand-in for conda"]["found"])
    assert {path.name for path in folder.iterdir()} >= {"conda", "activate"}
    assert f'export PATH="{folder}:$PATH"' in found["stand-in for conda"]["advice"]
    named = {"python", "snakemake", "conda", "uv", "git", "home", "disk", "limits of stages"}
    assert named <= set(found)


def test_publish_makes_a_version_that_can_be_asked_for(
    jobrunner: Runner, submit: list[str]
) -> None:
    from .conftest import TOY

    assert jobrunner("publish", str(TOY), "--as", "toy-2").returncode == 0
    assert (
        json.loads(jobrunner(*submit, "--version", "toy-1", "--json").stdout)["version"] == "toy-1"
    )
    assert json.loads(jobrunner(*submit, "--json").stdout)["version"] == "toy-2"
    refused = jobrunner("publish", str(TOY), "--as", "no/slash")
    assert (refused.returncode, "no usable name" in refused.stderr) == (2, True)
