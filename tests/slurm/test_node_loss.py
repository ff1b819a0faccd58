"""A node is lost while its orphan lives on: never do two copies write one directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.slurm import fence
from tests.slurm.cluster import Cluster
from tests.slurm.configuration import Options
from tests.slurm.processes import until
from tests.slurm.rule_runs import Attempt
from tests.slurm.snakemake_runs import SnakemakeRun, rules
from tests.slurm.writers import Writers


@pytest.fixture
def own(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster that starts jobs of lost nodes again."""
    with Cluster(short_folder, Options(nodes=2, settings={"JobRequeue": "1"})) as cluster:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        yield cluster


def _lose(cluster: Cluster, slurm_job: str) -> str:
    """Have a node vanish with its job alive; give its name. (By itself it takes half a minute.)"""
    node = cluster.job(slurm_job)["node"]
    cluster.kill_node(node, steps=False)
    cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")
    return node


def test_what_slurm_starts_again_waits_for_its_orphan_to_end(own: Cluster, tmp_path: Path) -> None:
    writers, attempt = Writers(tmp_path), Attempt(own, tmp_path / "slurm", "run")
    line = writers.line("restart$SLURM_RESTART_COUNT")
    slurm_job = attempt.submit("write.1", "sh", "-c", line)
    writers.until_written("restart")
    node = _lose(own, slurm_job)
    assert writers.alive("restart"), "an orphan on a node that nobody reaches"
    own.run("scontrol", "update", f"jobid={slurm_job}", "starttime=now")  # not in two minutes
    writers.until_written("restart1")
    writers.assert_never_both("restart", "restart1")
    began = fence.started(attempt.folder / "write.1", 1)
    assert began is not None
    assert began["restart"] == 1
    assert began["host"] != node
    own.run("scancel", slurm_job)


def test_what_is_submitted_again_waits_for_its_orphan_to_end(own: Cluster, tmp_path: Path) -> None:
    writers, attempt = Writers(tmp_path), Attempt(own, tmp_path / "slurm", "run")
    first = attempt.submit("write.1", "sh", "-c", writers.line("first"), options=("--no-requeue",))
    writers.until_written("first")
    _lose(own, first)
    own.until_state(first, "NODE_FAIL")
    assert writers.alive("first"), "an orphan on a node that nobody reaches"
    second = attempt.submit("write.1", "sh", "-c", writers.line("second"), submission=2)
    writers.until_written("second")
    writers.assert_never_both("first", "second")
    own.run("scancel", second)


def test_a_stage_of_a_lost_node_runs_again_elsewhere_never_twice_at_once(
    own: Cluster, tmp_path: Path
) -> None:
    writers = Writers(tmp_path)
    line = f"({writers.line('$SLURM_JOB_ID')}); touch {{output}}"
    asked = 'mem_mb=50, slurm_extra="--no-requeue"'
    run = SnakemakeRun(own, tmp_path / "job", rules(write=(asked, line)))
    until(writers.copies, "it runs", 60)
    (orphan,) = writers.copies()
    _lose(own, orphan)
    until(lambda: len(writers.copies()) == 2, "it runs again", 60)
    writers.assert_never_both(*writers.copies())
    writers.enough()
    assert run.wait() == 0, run.trouble
    assert own.job(writers.copies()[1])["state"] != "NODE_FAIL"
