"""Kill -9 of whoever runs a job on SLURM: what it left there is gone before anything runs again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from runner import launch, record
from runner.attempt import Attempt
from runner.jobdir import JobDirectory
from runner.prepared import Prepared
from runner.slurm import cancel
from tests.slurm.cluster import Cluster
from tests.slurm.configuration import Options
from tests.slurm.conftest import short_folder  # noqa: F401
from tests.slurm.writers import Writers
from tests.webapp.running import ROOT, Running, open_running, until
from tests.webapp.worlds import make_home
from webapp import jobs

PROFILE = """
platform: {embedded: none.db}
environments: none
executor: slurm
pool: default
slurm: {interval: 1, nice: 0}
limits: {mem_mb: 100}
"""
_AWAY = r"attempt 1 of .* are not proven to be gone: SLURM does not answer \(.*contact"


@pytest.fixture
def own(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:  # noqa: F811
    """A cluster that everything started here talks to."""
    with Cluster(short_folder, Options(nodes=2)) as cluster:
        monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
        monkeypatch.setattr(cancel, "_silence", {})
        yield cluster


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose jobs run on SLURM."""
    home = make_home(tmp_path / "home", {"default": ""}).path
    (home / "config" / "profiles" / "slurm.yaml").write_text(PROFILE)
    (home / "config" / "instances" / "default.yaml").write_text("profile: slurm\n")
    (home / "words.txt").write_text("one two\n")
    return home


@pytest.fixture
def writers(tmp_path: Path) -> Writers:
    """What the second stage of a job runs; a copy has the name of its SLURM job."""
    return Writers(tmp_path)


class Killed:
    """A job whose ``jobrunner run`` is killed with all of its processes on this machine."""

    def __init__(self, home: Path, writers: Writers) -> None:
        self.home = home
        self.process = self._command(
            "run", "toy", "--input", f"text={home}/words.txt", "--profile", "slurm",
            "--until", "second", "--param", f"command=({writers.line('$SLURM_JOB_ID')})",
        )  # fmt: skip

    def _command(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "runner", *words],
            env={**os.environ, "JOBRUNNER_HOME": str(self.home)},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def job(self) -> JobDirectory:
        """The directory of the only job."""
        (path,) = until(lambda: list(self.home.glob("jobs/*/*/*/[0-9A-Z]*")), "there is a job")
        return JobDirectory.open(path)

    def kill(self) -> None:
        """Kill supervisor and leader at once."""
        leader = json.loads((self.job.attempts / "leader.lock").read_text())["pid"]
        os.killpg(leader, signal.SIGSTOP)  # it must not hear of the death of its supervisor
        self.process.kill()
        os.killpg(leader, signal.SIGKILL)
        self.process.wait()
        until(lambda: not psutil.pid_exists(leader), "the leader is gone")

    def rerun(self) -> subprocess.Popen[bytes]:
        """Continue it with the command."""
        return self._command("rerun", str(self.job.path), "--until", "second")

    def prepared(self) -> Prepared:
        """Open it in this process."""
        return launch.reopen(launch.Home(self.home), self.job)

    def attempts(self) -> list[dict[str, Any]]:
        """Give the records of its attempts."""
        return list(record.records(self.job))


def _second_copy(writers: Writers) -> None:
    """Wait for the second attempt's copy; fail if the first one's still lived when it began."""
    until(lambda: len(writers.copies()) == 2, "a second copy writes")
    writers.assert_never_both(*writers.copies())


def test_a_rerun_cancels_what_still_runs_before_it_begins(
    own: Cluster, home: Path, writers: Writers
) -> None:
    killed = Killed(home, writers)
    until(writers.copies, "the job runs")
    killed.kill()
    (orphan,) = writers.copies()
    writers.until_written(orphan)
    assert writers.alive(orphan), "SLURM knows nothing of a death on this machine"
    rerun = killed.rerun()
    _second_copy(writers)
    assert own.job(orphan)["state"] in ("CANCELLED", "FAILED", "COMPLETING")
    writers.enough()
    assert rerun.wait(60) == 0
    outcomes = [(a["outcome"], a["slurm"]["gone"]) for a in killed.attempts()]
    assert outcomes == [("interrupted", True), ("succeeded", True)]


def test_a_rerun_cancels_what_still_waits_before_it_begins(
    own: Cluster, home: Path, writers: Writers
) -> None:
    own.run("scontrol", "update", "nodename=ALL", "state=drain", "reason=test")
    killed = Killed(home, writers)
    (waiting,) = until(lambda: own.jobs(), "the job waits")
    killed.kill()
    assert own.job(waiting["id"])["state"] == "PENDING"
    rerun = killed.rerun()
    until(lambda: len(own.jobs()) == 2, "the second attempt is submitted")
    assert own.job(waiting["id"])["state"] == "CANCELLED"
    rerun.send_signal(signal.SIGINT)
    assert rerun.wait(60) == 130
    assert own.run("squeue", "--noheader") == "", "cancelled is gone, too"


def test_while_slurm_is_away_no_attempt_starts_and_the_reason_is_said(
    own: Cluster, home: Path, writers: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancel, "_SILENT_FOR", 0.0)
    killed = Killed(home, writers)
    until(writers.copies, "the job runs")
    killed.kill()
    own.stop_controller()
    prepared = killed.prepared()
    monkeypatch.setattr(cancel, "TIMEOUT", 1.0)
    with pytest.raises(record.NotGone, match=_AWAY):
        prepared.start(prepared.options())
    (attempt,) = killed.attempts()
    assert attempt["outcome"] is None
    notes = [e["message"] for e in killed.job.events.read() if e["kind"] == "note"]
    assert len([n for n in notes if "not proven to be gone: SLURM does not answer" in n]) == 1
    until(lambda: not writers.alive(writers.copies()[0]), "its orphan ends by itself")
    writers.enough()
    own.start_controller()
    monkeypatch.setattr(cancel, "TIMEOUT", 60.0)
    assert prepared.start(prepared.options(until="second")).wait() == "succeeded"


@pytest.fixture
def attempt(own: Cluster, home: Path, writers: Writers) -> Attempt:
    """An attempt of this process, whose second stage runs on a node."""
    prepared = launch.create(
        launch.Home(home),
        "toy",
        inputs={"text": home / "words.txt"},
        params={"command": writers.line()},
        profile_name="slurm",
    )
    attempt = prepared.start(prepared.options())
    writers.until_written(timeout=60)
    return attempt


def test_what_a_killed_leader_left_is_gone_when_its_attempt_has_ended(
    own: Cluster, writers: Writers, attempt: Attempt
) -> None:
    os.killpg(attempt.pid, signal.SIGKILL)
    assert attempt.wait() == "interrupted"
    assert not writers.alive()
    assert own.run("squeue", "--noheader") == ""
    (last,) = record.records(attempt.job)
    assert last["slurm"]["gone"]


def test_a_cancel_that_slurm_does_not_answer_ends_all_the_same_and_says_what_is_open(
    own: Cluster, writers: Writers, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancel, "TIMEOUT", 1.0)
    own.stop_controller()
    assert attempt.stop() == "cancelled"
    until(lambda: not writers.alive(), "what runs ends by itself")
    (last,) = record.records(attempt.job)
    assert not last["slurm"]["gone"]
    assert last["slurm"]["left"].startswith("SLURM does not answer (")
    events = list(attempt.job.events.read())
    assert [e for e in events if "not proven to be gone" in e.get("message", "")]
    assert events[-1]["status"] == "cancelled"
    own.start_controller()
    monkeypatch.setattr(cancel, "TIMEOUT", 60.0)
    record.vacate(attempt.job)
    assert own.run("squeue", "--noheader") == ""


@pytest.fixture
def service(own: Cluster, home: Path) -> Iterator[Running]:
    """A service of whose jobs every rule runs on SLURM."""
    running = open_running(home)
    running.up()
    yield running
    running.stop()


def _submit(running: Running, writers: Writers) -> str:
    return running.submit("toy", params={"command": f"({writers.line('$SLURM_JOB_ID')})"})


def _kill(running: Running) -> None:
    """Kill all of it, but nothing on the nodes of the cluster, which are on this machine, too."""
    here = [p for p in running.left() if "SLURM_JOB_ID" not in p.environ()]
    for process in here:
        process.suspend()
    for process in here:
        process.kill()
    running.processes[-1].wait()
    psutil.wait_procs(here, timeout=30)


def test_a_service_that_comes_back_cancels_what_it_left_and_continues_the_job(
    service: Running, writers: Writers
) -> None:
    job = _submit(service, writers)
    until(writers.copies, "the job runs")
    _kill(service)
    (orphan,) = writers.copies()
    writers.until_written(orphan)
    assert writers.alive(orphan)
    service.up()
    _second_copy(writers)
    writers.enough()
    assert service.until_ended(job) == ["succeeded"]
    outcomes = [e["status"] for e in service.events(job) if e["kind"] == "attempt"]
    assert outcomes == ["started", "interrupted", "started", "succeeded"]


def test_a_service_that_comes_back_while_slurm_is_away_waits_for_it_with_the_job(
    own: Cluster, service: Running, writers: Writers
) -> None:
    job = _submit(service, writers)
    until(writers.copies, "the job runs")
    _kill(service)
    own.stop_controller()
    service.up()

    def is_told() -> bool:
        return any("not proven to be gone" in str(e.get("message")) for e in service.events(job))

    until(is_told, "a person is told why it waits")
    until(lambda: not writers.alive(writers.copies()[0]), "its orphan ends by itself")
    assert service.row(job).status == "running"
    writers.enough()
    own.start_controller()
    assert service.until_ended(job) == ["succeeded"]
    outcomes = [e["status"] for e in service.events(job) if e["kind"] == "attempt"]
    assert outcomes == ["started", "interrupted", "started", "succeeded"]


def test_a_cancelled_job_is_cancelled_only_when_it_is_gone(
    own: Cluster, service: Running, writers: Writers
) -> None:
    job = _submit(service, writers)
    until(writers.copies, "the job runs")
    jobs.cancel(service.service, job, "me")
    assert service.until_ended(job) == ["cancelled"]
    assert not writers.alive(writers.copies()[0])
    assert own.run("squeue", "--noheader") == ""
