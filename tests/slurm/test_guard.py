"""The guard of a rule run: never two copies at once, and nothing after a stop. Without SLURM."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from runner.slurm import fence
from tests.slurm.processes import until
from tests.slurm.writers import Writers

GUARD = Path(fence.__file__).with_name("guard.py")
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder of a rule run that was submitted once."""
    fence.raise_to(tmp_path / "rule.1", 1)
    return tmp_path / "rule.1"


@pytest.fixture
def writers(folder: Path) -> Writers:
    """What tells when it lives."""
    return Writers(folder.parent)


@pytest.fixture
def start(folder: Path, writers: Writers) -> Iterator[Start]:
    """Start guards, as SLURM would; they and what is below them are killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(
        *command: str, submission: int = 1, restart: int = 0, copy: str = "one"
    ) -> subprocess.Popen[str]:
        known = {"SLURM_JOB_ID": "12", "SLURMD_NODENAME": "n1"}
        known |= {"SLURM_RESTART_COUNT": str(restart)} if restart else {}
        argv = [sys.executable, "-S", "-E", str(GUARD), str(folder), str(submission), "--"]
        process = subprocess.Popen(
            [*argv, *(command or writers.command(copy))],
            env={**os.environ, **known},
            cwd=folder.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    writers.enough()
    for process in started:
        for living in _below(process.pid):
            with suppress(psutil.Error):
                living.kill()
        process.kill()
        process.communicate()


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@pytest.mark.parametrize(
    ("command", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("exec nosuch", 127)]
)
def test_it_ends_as_its_command_and_writes_down_where_it_ran(
    folder: Path, start: Start, command: str, code: int
) -> None:
    assert start("sh", "-c", f"cat {folder}/start.json; {command}").wait(20) == code
    document = fence.ended(folder, 1)
    assert document is not None
    assert document.pop("time") > 0
    assert document == {
        "slurm_job": "12", "submission": 1, "restart": 0, "host": "n1", "exit": code
    }  # fmt: skip
    began = fence.started(folder, 1)
    assert began is not None
    assert (began["slurm_job"], began["host"]) == ("12", "n1")
    assert not fence.is_held(folder)


def test_a_command_that_is_not_there_is_said(folder: Path, start: Start) -> None:
    process = start("nosuch-command")
    assert "nosuch-command: No such file" in process.communicate(timeout=20)[1]
    assert process.returncode == 127


def test_the_command_has_neither_the_lock_nor_signals_blocked_or_ignored(
    folder: Path, start: Start
) -> None:
    line = "ls -l /proc/self/fd; exec grep -E 'Sig(Blk|Ign)' /proc/self/status"
    said = start("sh", "-c", line).communicate(timeout=20)[0]
    assert "rule.1" not in said
    blocked, ignored = (int(line.split()[1], 16) for line in said.splitlines()[-2:])
    assert blocked == 0
    assert not ignored >> (signal.SIGPIPE - 1) & 1


def test_after_a_stop_nothing_begins(folder: Path, start: Start) -> None:
    fence.stop(folder)
    process = start("touch", "began")
    assert "was stopped" in process.communicate(timeout=20)[1]
    assert process.returncode == fence.VOID
    assert not (folder.parent / "began").exists()


def test_nothing_begins_where_the_job_was_removed(folder: Path, start: Start) -> None:
    folder.rename(folder.with_name("elsewhere"))
    process = start("touch", "began")
    assert "its folder is gone" in process.communicate(timeout=20)[1]
    assert process.returncode == fence.VOID
    assert not (folder.parent / "began").exists()


def test_a_stop_ends_what_runs_within_seconds_also_what_has_left_its_session(
    folder: Path, start: Start, writers: Writers
) -> None:
    process = start()
    writers.until_written()
    fence.stop(folder)
    assert process.wait(5) == fence.VOID
    assert not writers.alive()
    assert not fence.is_held(folder)
    assert fence.ended(folder, 1) is None


def test_an_orphan_ends_before_the_next_submission_begins(
    folder: Path, start: Start, writers: Writers
) -> None:
    orphan = start(copy="orphan")
    writers.until_written("orphan")
    fence.raise_to(folder, 2)
    start(submission=2, copy="next")
    writers.until_written("next")
    writers.assert_never_both("orphan", "next")
    assert orphan.wait(5) == fence.VOID
    assert "submitted again" in orphan.communicate()[1]


def test_a_requeued_copy_ends_the_orphan_and_takes_over(
    folder: Path, start: Start, writers: Writers
) -> None:
    orphan = start(copy="orphan")
    writers.until_written("orphan")
    start(restart=1, copy="next")
    writers.until_written("next")
    writers.assert_never_both("orphan", "next")
    assert orphan.wait(5) == fence.VOID
    late = start("touch", "began")  # SLURM is late to start the first one, on a third node
    assert late.wait(20) == fence.VOID
    assert not (folder.parent / "began").exists()


def test_who_waits_for_an_orphan_that_does_not_end_still_hears_a_stop(
    folder: Path, start: Start
) -> None:
    held = fence.try_lock(folder)  # as an orphan does that waits for its file server
    assert held is not None
    process = start("touch", "began")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    fence.stop(folder)
    assert process.wait(5) == fence.VOID
    os.close(held)
    assert not (folder.parent / "began").exists()


@pytest.mark.parametrize("who", ["guard", "keeper"])
def test_a_killed_guard_takes_all_of_its_command_with_it_before_the_lock_is_free(
    folder: Path, start: Start, writers: Writers, who: str
) -> None:
    process = start()
    writers.until_written()
    victim = process.pid if who == "guard" else psutil.Process(process.pid).children()[0].pid
    os.kill(victim, signal.SIGKILL)
    until(lambda: not fence.is_held(folder), "the lock is free")
    assert not writers.alive()
    assert fence.ended(folder, 1) is None


def test_what_a_command_leaves_in_the_background_ends_with_it(
    folder: Path, start: Start, writers: Writers
) -> None:
    line = f"{shlex.join(writers.command())} & until [ -s written.txt ]; do :; done; exit 5"
    assert start("sh", "-c", line).wait(20) == 5
    assert not writers.alive()


def test_slurms_signal_reaches_the_command_and_leaves_the_verdict_to_slurm(
    folder: Path, start: Start
) -> None:
    ready = folder.parent / "ready"
    process = start("sh", "-c", "trap 'touch told' TERM; touch ready; while :; do sleep 0.1; done")
    until(ready.exists)
    process.terminate()
    until((folder.parent / "told").exists, "the command is told")
    _kill_command(process)
    assert process.wait(5) == 137
    assert fence.ended(folder, 1) is None, "cancelled, out of time, requeued: SLURM knows"


def test_a_command_that_succeeds_although_it_was_to_end_has_succeeded(
    folder: Path, start: Start
) -> None:
    ready = folder.parent / "ready"
    process = start("sh", "-c", "trap 'exit 0' TERM; touch ready; while :; do sleep 0.1; done")
    until(ready.exists)
    process.terminate()
    assert process.wait(5) == 0
    assert (fence.ended(folder, 1) or {})["exit"] == 0


@pytest.mark.parametrize("code", [0, 4])
def test_a_requeued_copy_of_what_has_ended_does_not_run_again(
    folder: Path, start: Start, code: int
) -> None:
    assert start("sh", "-c", f"exit {code}").wait(20) == code
    assert start("touch", "began", restart=1).wait(20) == code
    assert not (folder.parent / "began").exists()


def test_of_an_earlier_submission_only_success_counts(folder: Path, start: Start) -> None:
    assert start("false").wait(20) == 1
    fence.raise_to(folder, 2)
    assert fence.ended(folder, 2) is None
    assert start("true", submission=2).wait(20) == 0
    fence.raise_to(folder, 3)
    assert start("touch", "began", submission=3).wait(20) == 0
    assert not (folder.parent / "began").exists()
    assert json.loads((folder / "end.json").read_text())["submission"] == 3


def _kill_command(process: subprocess.Popen[str]) -> None:
    keeper = psutil.Process(process.pid).children()[0]
    keeper.children()[0].kill()
