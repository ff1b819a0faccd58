"""`jobrunner submit | list | show | follow | cancel | rerun --server` against a real service."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.webapp.remote import WAITS, Remote, remote_of
from tests.webapp.running import Running, service_up, until
from webapp import tokens


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with service_up(tmp_path_factory.mktemp("service"), slots=3) as running:
        yield running


@pytest.fixture
def remote(running: Running, tmp_path: Path) -> Remote:
    return remote_of(running, tmp_path)


def _until_running(running: Running, job_id: str) -> None:
    until(lambda: running.row(job_id).status == "running", f"{job_id} runs")


def test_a_job_is_submitted_followed_and_shown(remote: Remote) -> None:
    options = ["--input", remote.input(), "--param", "word=three", "--tag", "a", "--tag", "b"]
    answer = remote.run("submit", "toy", *options, "--follow")
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    job_id = lines[0].split()[1]
    stages = [line.split(" ")[1] for line in lines if ": succeeded in" in line]
    assert stages == ["first:", "second:", "third:"]
    assert lines[-1] == f"Bring it here with: jobrunner pull {job_id}"
    shown = remote.run("show", job_id).stdout
    assert "succeeded" in shown
    assert "results/third.txt" in shown
    document = remote.json("show", job_id)
    assert (document["tags"], document["request"]["params"]["word"]) == (["a", "b"], "three")


def test_a_failed_job_says_why_and_how_to_go_on(remote: Remote) -> None:
    command = "--param", "command=echo it broke; exit 1"
    answer = remote.run("submit", "toy", "--input", remote.input(), *command, "--follow")
    assert answer.returncode == 1
    assert "Failed in stage second (stage_failed)" in answer.stdout
    assert "it broke" in answer.stdout
    assert f"--server {remote.server}" in answer.stdout.splitlines()[-1]
    document = remote.json("submit", "toy", "--input", remote.input(), *command, "--follow", code=1)
    assert (document["status"], document["error"]["stage"]) == ("failed", "second")


def test_follow_prints_each_event_as_a_line_of_json(remote: Remote) -> None:
    job_id = remote.submit()
    answer = remote.run("follow", job_id, "--json")
    events = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [event["n"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["status"] == "succeeded"


def test_ctrl_c_leaves_the_job_running_and_says_so(
    remote: Remote, running: Running, tmp_path: Path
) -> None:
    job_id = remote.submit(command=WAITS.format(tmp_path / "gate"))
    process = remote.start("follow", job_id, start_new_session=True)
    assert process.stdout is not None
    while "second: running" not in process.stdout.readline():
        pass
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert f"Job {job_id} goes on. Follow it with: jobrunner follow {job_id}" in errors
    assert running.row(job_id).status == "running"
    (tmp_path / "gate").touch()
    assert running.until_ended(job_id) == ["succeeded"]


def test_follow_survives_restarts_of_the_server_and_misses_nothing(
    remote: Remote, running: Running, tmp_path: Path
) -> None:
    job_id = remote.submit(command=WAITS.format(tmp_path / "gate"))
    process = remote.start("follow", job_id, "--json")
    assert process.stdout is not None
    seen = []
    while not seen or seen[-1].get("stage") != "second":
        seen.append(json.loads(process.stdout.readline()))
    for _ in range(2):
        web = running.web()
        web.kill()
        until(lambda pid=web.pid: running.web().pid != pid, "another web server")
    (tmp_path / "gate").touch()
    output, errors = process.communicate(timeout=60)
    seen += [json.loads(line) for line in output.splitlines()]
    assert process.returncode == 0, errors
    assert [event["n"] for event in seen] == list(range(1, len(seen) + 1))
    assert seen[-1]["status"] == "succeeded"


def test_a_job_is_cancelled_and_run_again_on_its_server(
    remote: Remote, running: Running, tmp_path: Path
) -> None:
    job_id = remote.submit(command=WAITS.format(tmp_path / "gate"))
    _until_running(running, job_id)
    assert "is being stopped" in remote.run("cancel", job_id).stdout
    assert running.until_ended(job_id) == ["cancelled"]
    assert remote.json("cancel", job_id, code=2)["error"]["code"] == "conflict"
    (tmp_path / "gate").touch()
    rerun = ["rerun", job_id, "--server", remote.server]
    assert remote.json(*rerun)["status"] == "queued"
    assert running.until_ended(job_id) == ["succeeded"]
    assert remote.run(*rerun, "--stage", "third", "--only").returncode == 0
    assert running.until_ended(job_id) == ["succeeded"]
    assert running.row(job_id).attempt == 3
    refused = remote.run(*rerun, "--cores", "2")
    assert (refused.returncode, "the server decides" in refused.stderr) == (2, True)


def test_a_list_is_filtered_and_goes_over_pages(remote: Remote, running: Running) -> None:
    tag = f"tag-{remote.folder.name}"
    for number in range(5):
        running.submit("trivial", tags=[tag, f"n{number}"])
    assert len(remote.json("list", "--tag", tag)["items"]) == 5
    page = remote.json("list", "--tag", tag, "--limit", "2", "--sort", "submitted")
    assert [job["tags"][1] for job in page["items"]] == ["n0", "n1"]
    assert page["next"]
    assert len(remote.json("list", "--tag", tag, "--all")["items"]) == 5
    shown = remote.run("list", "--tag", tag, "--type", "trivial")
    assert shown.stdout.count("trivial") == 5
    assert remote.json("list", "--tag", tag, "--status", "failed")["items"] == []
    assert "no such job" in remote.run("list", "--tag", "nobody-has-it").stdout


def _ids(remote: Remote) -> list[str]:
    return [job["id"] for job in remote.json("list", "--all")["items"]]


def test_a_plan_submits_nothing(remote: Remote) -> None:
    before = _ids(remote)
    plan = remote.json("submit", "toy", "--input", remote.input(), "--plan")
    assert [(stage["name"], stage["runs"]) for stage in plan["stages"]] == [
        ("first", True), ("second", True), ("third", True),
    ]  # fmt: skip
    assert _ids(remote) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["submit", "toy"], "text: this input is required"),
        (["submit", "toy", "--input", "text=nowhere.txt"], "nowhere.txt cannot be read"),
        (["submit", "toy", "--input", "text"], "NAME=VALUE"),
        (["submit", "nothing"], "no job type 'nothing'"),
        (["submit", "toy", "--param", "word=much-too-long"], "/params/word"),
        (["show", "NOTHING"], "There is no job NOTHING"),
        (["follow", "NOTHING"], "There is no job NOTHING"),
        (["cancel", "NOTHING"], "There is no job NOTHING"),
        (["pull", "NOTHING"], "There is no job NOTHING"),
        (["list", "--text", "x" * 2000], "text"),
        (["list", "--server", "nonsense"], "is no address of a service"),
        (["list", "--server", "http://127.0.0.1:1"], "cannot be reached"),
    ],
)
def test_what_is_refused_exits_2_with_a_message_and_as_json(
    remote: Remote, words: list[str], said: str
) -> None:
    answer = remote.run(*words)
    assert (answer.returncode, answer.stdout) == (2, ""), answer.stdout
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    as_json = remote.run(*words, "--json")
    assert as_json.returncode == 2
    assert said in json.loads(as_json.stdout)["error"]["message"]


def test_a_wrong_token_is_named_and_never_shown(remote: Remote) -> None:
    remote.token = "jr_wrong_secretword"
    answer = remote.run("list")
    assert answer.returncode == 2
    assert "does not accept the token from $JOBRUNNER_TOKEN" in answer.stderr
    assert "secretword" not in answer.stderr


def test_a_token_without_the_right_is_refused(remote: Remote, running: Running) -> None:
    with running.service.db.write() as session:
        remote.token = tokens.create(session, name="looker", role="viewer", instance="default")
    job_id = running.submit("trivial")
    assert job_id in _ids(remote)
    refused = remote.json("submit", "toy", "--input", remote.input(), code=2)
    assert refused["error"]["code"] == "forbidden"


def test_a_terminal_gets_a_bar_and_a_table(remote: Remote) -> None:
    path = remote.folder / "long.txt"
    path.write_text("word " * 180)
    master, slave = pty.openpty()
    words = ["submit", "toy", "--input", f"text={path}", "--follow"]
    remote.further["TERM"] = "xterm-256color"
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", *words],
        env=remote.environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=remote.folder,
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 1 << 16)
        except OSError:
            break
        shown += piece
    os.close(master)
    assert process.wait() == 0, shown.decode()
    text = shown.decode()
    assert "Sending" in text
    assert "900/900 bytes" in text
    assert "First" in text
    assert "\x1b[" in text
