"""The clerk's questions are few, and none is put off without end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.slurm.clerk import Clerk, Manners
from runner.slurm.rule_run import RuleRun
from runner.slurm.submission import Request
from runner.slurm.telling import Teller
from tests.slurm.cluster import Cluster
from tests.slurm.processes import until
from tests.slurm.snakemake_runs import Counted


class Work:
    """A clerk of this process with rule runs of one command."""

    def __init__(self, folder: Path, interval: float) -> None:
        self.folder, self.told = folder, list[str]()
        teller = Teller(None, None, (), self.told.append)
        manners = Manners(interval=interval, overhead_mb=0)
        self.clerk = Clerk(f"jobrunner-{folder.name}", sys.executable, folder, manners, teller)
        self.rule_runs: list[RuleRun] = []

    def add(self, command: str, **resources: object) -> RuleRun:
        """Have a further rule run submitted."""
        name = f"rule.{len(self.rule_runs)}"
        request = Request.of("rule", 1, {"mem_mb": 50, "runtime": 5, **resources}, 0)
        rule_run = RuleRun(request, self.folder / name, self.folder, name)
        rule_run.begin(command)
        self.rule_runs.append(rule_run)
        self.clerk.add(rule_run)
        return rule_run


@pytest.fixture
def counted(slurm_conf: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """SLURM's commands of this process, counted."""
    counted = Counted(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(counted.folder), prepend=":")
    return counted


@pytest.fixture
def work(counted: Counted, cluster: Cluster, tmp_path: Path) -> Iterator[Work]:
    """A clerk that asks every ten seconds, sooner after failures."""
    found = Work(tmp_path, 10)
    yield found
    found.clerk.stop()
    cluster.reset()


def test_steady_submissions_do_not_put_the_question_off(counted: Counted, work: Work) -> None:
    held = work.add("sleep 60", slurm_extra="--hold")
    deadline = time.monotonic() + 20
    while "JobHeld" not in str(held.waits_for) and time.monotonic() < deadline:
        work.add("true", slurm_extra="--hold")
        time.sleep(0.5)
    assert "JobHeld" in str(held.waits_for)


def test_many_failures_share_a_handful_of_questions(counted: Counted, work: Work) -> None:
    began = time.monotonic()
    for _ in range(12):  # SLURM says of each within a second how it ended
        work.add("sh -c 'exit 3'")
        time.sleep(0.7)
    until(lambda: all(r.outcome for r in work.rule_runs), "all have ended", 60)
    assert {r.outcome for r in work.rule_runs} == {"failed"}
    intervals = (time.monotonic() - began) // 10 + 1
    assert counted.count("squeue") <= 6 * intervals
