"""Cancel means gone: verified by SLURM's own list and by the locks of the guards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.slurm import cancel, fence
from tests.slurm.cluster import Cluster
from tests.slurm.configuration import Options
from tests.slurm.processes import until
from tests.slurm.rule_runs import Attempt
from tests.slurm.writers import Writers

RUN = "jobrunner-01ABC-1-0123abcd"


@pytest.fixture
def own(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster whose controller the test may stop."""
    with Cluster(short_folder, Options(nodes=1)) as cluster:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        yield cluster


@pytest.fixture(autouse=True)
def nobody_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancel, "_silence", {})


@pytest.fixture
def writers(tmp_path: Path) -> Writers:
    return Writers(tmp_path)


def _running(attempt: Attempt, writers: Writers) -> None:
    attempt.submit("write.1", "sh", "-c", writers.line())
    writers.until_written()


def test_what_runs_and_what_waits_is_gone_and_other_runs_are_left_alone(
    slurm_conf: Cluster, writers: Writers, tmp_path: Path
) -> None:
    attempt = Attempt(slurm_conf, tmp_path / "slurm", RUN)
    other = Attempt(slurm_conf, tmp_path / "other", RUN.replace("-1-", "-2-"))
    _running(attempt, writers)
    waiting = attempt.submit("wait.2", "true", options=("--hold",))
    theirs = other.submit("sleep.1", "sleep", "60")
    slurm_conf.until_state(theirs, "RUNNING")
    assert cancel.gone(RUN, attempt.folder, 30)
    assert attempt.known() == []
    assert not writers.alive()
    assert slurm_conf.job(waiting)["state"] == "CANCELLED"
    assert slurm_conf.job(theirs)["state"] == "RUNNING"
    assert cancel.gone(other.run, other.folder, 30)


def test_what_ignores_slurms_signal_is_gone_as_well(
    slurm_conf: Cluster, writers: Writers, tmp_path: Path
) -> None:
    attempt = Attempt(slurm_conf, tmp_path / "slurm", RUN)
    line = writers.line()
    attempt.submit("write.1", "sh", "-c", f"trap '' TERM INT; {line}; {line}")
    writers.until_written()
    assert cancel.gone(RUN, attempt.folder, 30)
    assert not writers.alive()


def test_without_an_answer_of_slurm_it_is_not_gone_but_nothing_goes_on_or_begins(
    own: Cluster, writers: Writers, tmp_path: Path
) -> None:
    attempt, told = Attempt(own, tmp_path / "slurm", RUN), list[str]()
    _running(attempt, writers)
    waiting = attempt.submit("wait.2", "touch", f"{tmp_path}/began", options=("--hold",))
    own.stop_controller()
    left = cancel.cancel(RUN, attempt.folder, 1, told.append)
    assert left is not None
    assert left.startswith("SLURM does not answer (")
    assert told == [left], "a person is told once"
    until(lambda: not fence.is_held(attempt.folder / "write.1"), "what runs ends by itself")
    assert not writers.alive()
    own.start_controller()
    own.run("scontrol", "release", waiting)
    own.until_state(waiting, "FAILED")
    assert not (tmp_path / "began").exists()


def test_it_is_gone_once_slurm_answers_again(
    own: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancel, "_SILENT_FOR", 0.1)
    attempt = Attempt(own, tmp_path / "slurm", RUN)
    attempt.submit("wait.1", "true", options=("--hold",))
    own.stop_controller()
    assert not cancel.gone(RUN, attempt.folder, 0)
    own.start_controller()
    assert cancel.gone(RUN, attempt.folder, 30)
    assert attempt.known() == []


def test_it_is_not_gone_while_something_of_it_lives_that_slurm_has_lost(
    slurm_conf: Cluster, tmp_path: Path
) -> None:
    attempt = Attempt(slurm_conf, tmp_path / "slurm", RUN)
    slurm_job = attempt.submit("write.1", "true")
    slurm_conf.until_state(slurm_job, "COMPLETED")
    orphan = fence.try_lock(attempt.folder / "write.1")
    assert orphan is not None
    left = cancel.cancel(RUN, attempt.folder, 0.5)
    assert left is not None
    assert left.startswith("write.1 still has processes on n")
    assert f"(SLURM job {slurm_job})" in left
    os.close(orphan)
    assert cancel.gone(RUN, attempt.folder, 0)


def test_where_nothing_was_submitted_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cancel.gone(RUN, tmp_path / "slurm", 0)
    fence.raise_to(tmp_path / "slurm" / "write.1", 1)
    left = cancel.cancel(RUN, tmp_path / "slurm", 0)
    assert left is not None
    assert left.startswith("SLURM cannot be asked here (squeue is not on the PATH of ")


def test_an_attempt_has_ended_by_itself_when_all_of_its_rule_runs_have(tmp_path: Path) -> None:
    assert cancel.has_ended(tmp_path)
    for name in ("write.1", "check.2"):
        fence.raise_to(tmp_path / name, 1)
        assert not cancel.has_ended(tmp_path)
        fence.write_document(tmp_path / name, "end.json", {"submission": 1, "exit": 0})
    assert cancel.has_ended(tmp_path)
    fence.raise_to(tmp_path / "write.1", 2)  # the other submission may still be in the queue
    assert not cancel.has_ended(tmp_path)


def test_no_two_attempts_have_the_same_name(tmp_path: Path) -> None:
    names = {cancel.run_name("01ABC", 1) for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith("jobrunner-01ABC-1-") for name in names)
