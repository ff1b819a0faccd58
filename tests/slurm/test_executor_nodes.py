"""A node that fails does not fail the job, and an interrupt leaves nothing behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.slurm import fence
from tests.slurm.cluster import Cluster
from tests.slurm.processes import until
from tests.slurm.snakemake_runs import SnakemakeRun, rules

WAITING = "echo x >> {rule}.began; while ! test -e go; do sleep 0.1; done; touch {output}"


@pytest.fixture
def healed(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster that is put in order after the test."""
    yield cluster
    cluster.reset()


def _lose(cluster: Cluster, node: str, *, steps: bool) -> None:
    """Lose a node, and have SLURM notice it at once."""
    cluster.kill_node(node, steps=steps)
    cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")


def test_a_lost_node_costs_a_rule_run_a_second_try_elsewhere(
    healed: Cluster, tmp_path: Path
) -> None:
    again = ('mem_mb=50, slurm_extra="--requeue"', WAITING)
    run = SnakemakeRun(
        healed, tmp_path, rules(alone=WAITING, requeued=again),
        stages="alone,requeued",
    )  # fmt: skip
    found = {rule: run.until_running(rule) for rule in ("alone", "requeued")}
    nodes = {rule: healed.job(slurm_job)["node"] for rule, slurm_job in found.items()}
    for node in sorted(set(nodes.values())):
        _lose(healed, node, steps=True)
    until(lambda: len(run.submissions("alone")) == 2, "it is submitted again")
    healed.until_state(found["requeued"], "PENDING")
    until(lambda: "back into its queue" in str(run.events(stage="requeued")), "that is told")
    healed.run("scontrol", "update", f"jobid={found['requeued']}", "StartTime=now")
    for rule in ("alone", "requeued"):
        began = tmp_path / f"{rule}.began"
        until(lambda file=began: file.read_text() == "x\nx\n", f"{rule} runs again", 60)  # type: ignore[misc]
    (tmp_path / "go").touch()
    assert run.wait() == 0, run.trouble
    assert [s["slurm_job"] for s in run.submissions("requeued")] == [found["requeued"]]
    last = healed.job(run.slurm_job("alone"))
    assert last["node"] != nodes["alone"]
    assert f"SLURM job {found['alone']} on node {nodes['alone']} is lost" in run.notes()
    assert run.events(stage="alone", status="running")[-1]["node"] == last["node"]


def test_a_rule_run_that_loses_its_node_too_often_fails(healed: Cluster, tmp_path: Path) -> None:
    run = SnakemakeRun(healed, tmp_path, rules(alone=WAITING), resubmissions=0)
    node = healed.job(run.until_running("alone"))["node"]
    _lose(healed, node, steps=False)  # what runs there goes on
    assert run.wait() == 1
    error = run.failure("alone")
    assert error["code"] == "node_failed"
    assert (
        f"its node failed (SLURM job {run.slurm_job('alone')} on node {node})" in error["message"]
    )
    (folder,) = fence.rule_runs(tmp_path / "slurm")
    until(lambda: not fence.is_held(folder), "the orphan has ended itself")


def test_the_only_node_that_can_run_it_gets_it_again(healed: Cluster, tmp_path: Path) -> None:
    only = ('mem_mb=50, constraint="fast"', WAITING)
    run = SnakemakeRun(healed, tmp_path, rules(alone=only))
    node = healed.job(run.until_running("alone"))["node"]
    _lose(healed, node, steps=True)
    until(lambda: len(run.submissions("alone")) == 2, "it is submitted again", 60)
    healed.start_node(node)
    began = tmp_path / "alone.began"
    until(lambda: began.read_text() == "x\nx\n", "it runs again", 60)
    (tmp_path / "go").touch()
    assert run.wait() == 0, run.trouble
    assert healed.job(run.slurm_job("alone"))["node"] == node
    assert f"no node can run it but those that failed it ({node})" in run.notes()


def test_nodes_that_failed_are_taken_again_when_all_others_are_away(
    healed: Cluster, tmp_path: Path
) -> None:
    run = SnakemakeRun(healed, tmp_path, rules(alone=WAITING))
    node = healed.job(run.until_running("alone"))["node"]
    others = ",".join(sorted(set(healed.options.names) - {node}))
    healed.run("scontrol", "update", f"nodename={others}", "state=drain", "reason=test")
    _lose(healed, node, steps=True)
    until(lambda: len(run.submissions("alone")) == 3, "it is submitted for any node", 60)
    assert f"no node can run it but those that failed it ({node})" in run.notes()
    healed.start_node(node)
    began = tmp_path / "alone.began"
    until(lambda: began.read_text() == "x\nx\n", "it runs again", 60)
    (tmp_path / "go").touch()
    assert run.wait() == 0, run.trouble
    second, third = (str(s["slurm_job"]) for s in run.submissions("alone")[1:])
    assert (healed.job(second)["state"], healed.job(third)["node"]) == ("CANCELLED", node)


def test_an_interrupt_takes_everything_out_of_slurm(cluster: Cluster, tmp_path: Path) -> None:
    run = SnakemakeRun(
        cluster, tmp_path, rules(runs=WAITING, waits=('slurm_extra="--hold"', WAITING))
    )
    run.until_running("runs")
    waiting = run.slurm_job("waits")
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.wait(30) == 1
    assert cluster.job(waiting)["state"] == "CANCELLED"
    # its guard may have seen the fence before SLURM came
    assert cluster.job(run.slurm_job("runs"))["state"] in ("CANCELLED", "FAILED")
    assert not any(fence.is_held(folder) for folder in fence.rule_runs(tmp_path / "slurm"))
