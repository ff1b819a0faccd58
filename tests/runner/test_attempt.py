from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from runner import leader, processes
from runner.errors import InvalidInput, JobBusy
from runner.launch import reopen
from runner.prepared import Prepared
from runner.record import records
from runner.state import JobState

WAITS = "touch {0}/started; exec sleep 600"


def _files(prepared: Prepared) -> dict[str, str]:
    root = prepared.job.path
    wanted = [*root.glob("work/*"), *root.glob("results/*")]
    return {str(path.relative_to(root)): path.read_text() for path in wanted}


def _run(prepared: Prepared, **options: object) -> str:
    outcome = prepared.start(prepared.options(**options)).wait()
    assert outcome is not None
    return outcome


def _state(prepared: Prepared) -> JobState:
    return JobState(prepared.job_type, prepared.job.events.read())


def _await(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something outside this process, looking often; fail after `seconds`."""
    pause, waited = threading.Event(), 0.0
    while not condition():
        assert waited < seconds, "it did not happen in time"
        pause.wait(0.02)
        waited += 0.02


@pytest.fixture
def waiting(toy: Callable[..., Prepared], tmp_path: Path) -> Prepared:
    """A job whose second stage waits until it is ended; `tmp_path/started` tells when."""
    return toy(command=WAITS.format(tmp_path))


def test_warm_and_plain_attempts_give_the_same_outputs_and_stages(
    toy: Callable[..., Prepared],
) -> None:
    warm, plain = toy(), toy()
    assert _run(warm) == _run(plain, plain=True) == "succeeded"
    assert _files(warm) == _files(plain)
    kinds = [
        [
            (e["kind"], e.get("status"), e.get("stage"), e.get("reason"))
            for e in job.job.events.read()
        ]
        for job in (warm, plain)
    ]
    assert kinds[0] == kinds[1]


def test_a_job_that_is_done_runs_nothing_again(toy: Callable[..., Prepared]) -> None:
    prepared = toy()
    _run(prepared)
    before = prepared.job.events
    last = list(before.read())[-1]["n"]
    assert _run(prepared) == "succeeded"
    assert [e for e in before.read(last) if e["kind"] == "stage"] == []
    assert {s.reason for s in _state(prepared).stages.values()} == {"kept from attempt 1"}


def test_a_single_stage_can_be_run_again_alone_or_with_what_follows(
    toy: Callable[..., Prepared],
) -> None:
    prepared = toy()
    _run(prepared)
    _run(prepared, stage="second", only=True)
    assert [s.attempt for s in _state(prepared).stages.values()] == [1, 2, 1]
    _run(prepared, stage="second")
    assert [s.attempt for s in _state(prepared).stages.values()] == [1, 3, 3]


def test_until_stops_after_the_stage(toy: Callable[..., Prepared]) -> None:
    prepared = toy()
    _run(prepared, until="first")
    statuses = [stage.status for stage in _state(prepared).stages.values()]
    assert statuses == ["succeeded", "waiting", "waiting"]


def test_a_failed_stage_gives_one_error_with_the_end_of_its_log(
    toy: Callable[..., Prepared],
) -> None:
    prepared = toy(command="echo what went wrong; exit 3")
    assert _run(prepared) == "failed"
    state = _state(prepared)
    assert state.status == "failed"
    assert state.error is not None
    assert (state.error["code"], state.error["stage"]) == ("stage_failed", "second")
    assert "what went wrong" in state.error["message"]
    assert [s.status for s in state.stages.values()] == ["succeeded", "failed", "waiting"]


def test_the_error_document_of_a_stage_is_the_error_of_the_job(
    toy: Callable[..., Prepared],
) -> None:
    document = {"code": "bad_data", "message": "Row 3 is wrong.", "problems": [{"row": 3}]}
    prepared = toy(command=f"echo '{json.dumps(document)}' > logs/second.error.json; exit 1")
    _run(prepared)
    assert _state(prepared).error == {**document, "stage": "second"}


def test_a_changed_input_is_refused_before_anything_runs(toy: Callable[..., Prepared]) -> None:
    prepared = toy()
    (prepared.job.path / "input" / "some_words.txt").write_text("changed")
    with pytest.raises(InvalidInput):
        prepared.start(prepared.options())
    assert list(records(prepared.job)) == []


def test_stopping_ends_all_processes_and_frees_the_locks(waiting: Prepared, tmp_path: Path) -> None:
    attempt = waiting.start(waiting.options())
    _await((tmp_path / "started").exists)
    assert attempt.stop() == "cancelled"
    assert _state(waiting).status == "cancelled"
    assert list(processes.survivors(f"{waiting.job.id}:1")) == []
    assert not leader.is_alive(waiting.job.path)
    assert [s.status for s in _state(waiting).stages.values()] == [
        "succeeded",
        "stopped",
        "waiting",
    ]


def test_an_attempt_that_takes_too_long_is_stopped_and_says_so(
    waiting: Prepared, tmp_path: Path
) -> None:
    assert waiting.start(waiting.options(runtime=0.02)).wait() == "timed_out"
    error = _state(waiting).error
    assert error is not None
    assert error["code"] == "time_limit"
    assert list(processes.survivors(f"{waiting.job.id}:1")) == []


@pytest.mark.parametrize("plain", [False, True], ids=["warm", "plain"])
def test_a_killed_leader_leaves_no_process_and_the_job_continues(
    toy: Callable[..., Prepared], tmp_path: Path, plain: bool
) -> None:
    flag = tmp_path / "started"
    prepared = toy(command=f"test -e {flag} || {{ touch {flag}; exec sleep 600; }}")
    undisturbed = toy(command=prepared.job.config["params"]["command"])
    attempt = prepared.start(prepared.options(plain=plain))
    _await(flag.exists)
    os.kill(attempt.pid, signal.SIGKILL)
    assert attempt.wait() == "interrupted"
    locks = prepared.job.path / ".snakemake" / "locks"
    assert not locks.exists() or not list(locks.iterdir())
    assert list(processes.survivors(f"{prepared.job.id}:1")) == []
    assert _state(prepared).status == "queued"
    assert _run(prepared) == _run(undisturbed) == "succeeded"
    assert _files(prepared) == _files(undisturbed)


def test_the_attempt_dies_with_its_supervisor_and_the_job_continues(
    toy: Callable[..., Prepared],
    supervised: Callable[[Prepared], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    flag = tmp_path / "started"
    prepared = toy(command=f"test -e {flag} || {{ touch {flag}; exec sleep 600; }}")
    process = supervised(prepared)
    _await(flag.exists)
    process.kill()
    _await(lambda: not list(processes.survivors(f"{prepared.job.id}:1")))
    assert _run(prepared) == "succeeded"
    assert [r["outcome"] for r in records(prepared.job)] == ["interrupted", "succeeded"]


def test_a_living_supervisor_says_itself_how_its_attempt_ended(
    toy: Callable[..., Prepared],
    supervised: Callable[[Prepared], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    flag = tmp_path / "started"
    prepared = toy(command=f"test -e {flag} || {{ touch {flag}; exec sleep 600; }}")
    process = supervised(prepared)
    _await(flag.exists)
    os.kill(process.pid, signal.SIGSTOP)  # it is slow, just when its leader ends
    for left in processes.survivors(f"{prepared.job.id}:1"):
        left.kill()
    _await(lambda: not leader.is_alive(prepared.job.path))
    with pytest.raises(JobBusy, match="is just ending"):
        prepared.start(prepared.options())
    os.kill(process.pid, signal.SIGCONT)
    process.wait()
    ended = [e["status"] for e in prepared.job.events.read() if e["kind"] == "attempt"]
    assert len(ended) == 2
    assert _run(prepared) == "succeeded"


def test_what_a_killed_supervisor_and_leader_left_running_is_killed_before_the_next_attempt(
    toy: Callable[..., Prepared],
    supervised: Callable[[Prepared], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    flag = tmp_path / "started"
    prepared = toy(command=f"test -e {flag} || {{ touch {flag}; exec setsid sleep 600; }}")
    process = supervised(prepared)
    _await(flag.exists)
    pid = json.loads((prepared.job.attempts / "leader.lock").read_text())["pid"]
    orphans = [p for p in processes.survivors(f"{prepared.job.id}:1") if p.pid != pid]
    os.kill(process.pid, signal.SIGSTOP)  # so that it cannot clean up
    os.kill(pid, signal.SIGKILL)
    process.kill()
    assert any(p.is_running() for p in orphans)
    assert _run(prepared) == "succeeded"
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in orphans)


def test_never_two_attempts_in_one_directory(waiting: Prepared, tmp_path: Path) -> None:
    attempt = waiting.start(waiting.options())
    try:
        _await((tmp_path / "started").exists)
        with pytest.raises(JobBusy, match=f"process {attempt.pid}"):
            reopen(waiting.home, waiting.job).start(waiting.options())
    finally:
        attempt.stop()
    assert [r["attempt"] for r in records(waiting.job)] == [1]


def test_a_directory_in_which_a_bare_snakemake_works_is_left_alone(
    waiting: Prepared, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        str(waiting.job_type.snakefile),
        "--cores",
        "1",
    ]
    command += ["--directory", str(waiting.job.path)]
    command += ["--configfile", str(waiting.job.path / "job.yaml")]
    bare = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        _await((tmp_path / "started").exists)
        with pytest.raises(JobBusy, match=f"process {bare.pid}"):
            waiting.start(waiting.options())
    finally:
        os.killpg(bare.pid, signal.SIGKILL)
        bare.wait()


def test_a_record_tells_command_versions_host_outcome_and_use(toy: Callable[..., Prepared]) -> None:
    prepared = toy()
    _run(prepared)
    (record,) = records(prepared.job)
    assert record["argv"][0] == "snakemake"
    assert "--rerun-incomplete" in record["argv"]
    assert set(record["versions"]) == {"jobrunner", "snakemake", "python"}
    assert (record["outcome"], record["exit_code"]) == ("succeeded", 0)
    assert record["used"]["cpu_seconds"] > 0


def test_no_secret_stays_in_a_log(
    toy: Callable[..., Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = toy(command="echo $JOBRUNNER_PLATFORM_DSN; printf s3c; echo r:t; exit 1")
    (prepared.home.path / "config" / "profiles" / "plain.yaml").write_text(
        "platform: {dsn: 'env:THE_DSN'}\nenvironments: none\n"
    )
    monkeypatch.setenv("THE_DSN", "postgresql://me:s3cr%3At@host/db")
    _run(reopen(prepared.home, prepared.job))
    texts = [p.read_text(errors="replace") for p in prepared.job.path.rglob("*") if p.is_file()]
    assert not [text for text in texts if "s3cr" in text]
    assert "***" in (prepared.job.logs / "second.log").read_text()
