"""Each way to fail on SLURM has its own code, and the figures with it."""

from __future__ import annotations

import getpass
import time
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.processes import until
from tests.slurm.snakemake_runs import Counted, SnakemakeRun, rules

TOO_MUCH = (
    "python3 -c 'import time; x = [bytearray(10**7) for _ in range(60)]; print(sum(map(len, x)));"
    " time.sleep(60)'"
)
LONG = "touch {rule}.began; sleep 120"
RULES = {
    "good": "touch {output}",
    "plain": "exit 3",
    "greedy": ("mem_mb=200, runtime=5", TOO_MUCH),
    "slow": ("mem_mb=50, runtime=1", LONG),
    "late": ('mem_mb=50, runtime=5, slurm_extra="--deadline=now+20"', LONG),
    "outside": ("mem_mb=50", LONG),
    "held": ('mem_mb=50, slurm_extra="--hold"', LONG),
    "long": ('mem_mb=50, slurm_partition="short", runtime=30', LONG),
    "wide": ("mem_mb=50, cpus_per_task=99", LONG),
    "qos": ('mem_mb=50, qos="small", cpus_per_task=4', LONG),
    "stranger": ('mem_mb=50, slurm_account="energy", slurm_partition="members"', LONG),
    "nobody": ('mem_mb=50, slurm_account="nobody"', LONG),
    "fat": ("mem_mb=99999", LONG),
    "odd": ('mem_mb=50, slurm_extra="--no-such-option"', LONG),
}


@pytest.fixture(scope="module")
def failing(accounting_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> SnakemakeRun:
    """A run in which each rule fails in its own way; ended as all but the held one have."""
    cluster, folder = accounting_cluster, tmp_path_factory.mktemp("failing")
    counted, began = Counted(folder / "bin"), time.monotonic()
    run = SnakemakeRun(
        cluster, folder, rules(**RULES), "--keep-going", stages=",".join(RULES), path=counted.folder
    )
    run.counted = counted  # type: ignore[attr-defined]
    slow = run.until_running("slow")
    cluster.run("scontrol", "update", f"jobid={slow}", "EndTime=now+1")
    cluster.run("scancel", run.until_running("outside"))
    until(lambda: run.failure("outside"), "it is seen to be cancelled")
    until(lambda: "JobHeld" in str(run.events(stage="held")), "it is seen to be held", 60)
    cluster.run("scancel", run.slurm_job("held"))
    assert run.wait() == 1
    run.seconds = time.monotonic() - began  # type: ignore[attr-defined]
    return run


@pytest.mark.parametrize(
    ("rule", "code", "words"),
    [
        ("greedy", "out_of_memory", "200 MB (+ 300 MB for Snakemake); it was seen with"),
        ("slow", "time_limit", "limit of wall time, 1 min, after 00:"),
        ("outside", "cancelled_outside", f"cancelled in SLURM by {getpass.getuser()}"),
        ("long", "never_starts", "PartitionTimeLimit"),
        ("late", "never_starts", "DeadLine"),
        ("wide", "never_starts", "99 processors"),
        ("qos", "never_starts", "QOSMaxCpuPerJobLimit"),
        ("stranger", "never_starts", "account not permitted to use this partition"),
        ("nobody", "never_starts", "Invalid account"),
        ("fat", "never_starts", "Memory specification can not be satisfied"),
        ("odd", "never_starts", "unrecognized option '--no-such-option'"),
    ],
)
def test_a_failure_has_its_own_code_and_its_figures(
    failing: SnakemakeRun, rule: str, code: str, words: str
) -> None:
    error = failing.failure(rule)
    assert (error["code"], error["stage"], error["problems"]) == (code, rule, [])
    assert words in error["message"], error["message"]
    assert error["message"] in failing.output
    if code not in ("never_starts",):
        slurm_job, node = failing.slurm_job(rule), failing.events(stage=rule, status="running")
        assert f"SLURM job {slurm_job} on node {node[-1]['node']}" in error["message"]


def test_a_rule_that_fails_by_itself_says_so_itself(failing: SnakemakeRun) -> None:
    assert not failing.failure("plain")
    assert len(failing.submissions("plain")) == 1
    assert failing.folder.joinpath("good.txt").exists()


def test_why_a_stage_waits_is_told(failing: SnakemakeRun) -> None:
    assert "PartitionTimeLimit" in failing.events(stage="long", status="waiting")[-1]["reason"]
    held = failing.events(stage="held", status="waiting")[-1]
    assert held["reason"].startswith(f"SLURM job {held['slurm_job']} is pending: JobHeld")
    assert not [e for e in failing.events(stage="held") if e["status"] == "running"]


def test_what_will_never_start_is_taken_out_of_the_queue(
    failing: SnakemakeRun, accounting_cluster: Cluster
) -> None:
    left = [job for job in accounting_cluster.jobs() if job["name"] == failing.name]
    assert {job["state"] for job in left} & {"PENDING", "RUNNING"} == set()


def test_failures_cost_few_questions(failing: SnakemakeRun) -> None:
    counted: Counted = failing.counted  # type: ignore[attr-defined]
    assert counted.count("sacct") <= len(RULES)
    intervals = failing.seconds + 1  # type: ignore[attr-defined] # of one second
    assert counted.count("squeue") <= 6 * intervals  # five sooner than usual, after failures


def test_out_of_memory_by_a_cgroup(cgroup_cluster: Cluster, tmp_path: Path) -> None:
    run = SnakemakeRun(
        cgroup_cluster, tmp_path, rules(greedy=("mem_mb=200, runtime=5", TOO_MUCH)), overhead=100
    )
    assert run.wait() == 1
    assert run.failure("greedy")["code"] == "out_of_memory", run.trouble
    assert len(run.submissions("greedy")) == 1
