"""Rules run on SLURM as they would here, and SLURM is asked little."""

from __future__ import annotations

import time
from pathlib import Path

from tests.slurm.cluster import Cluster
from tests.slurm.snakemake_runs import Counted, SnakemakeRun, rules

CHAIN = """
rule all:
    input: "c.txt"
rule a:
    output: "a.txt"
    resources: mem_mb=100, runtime=5, slurm_extra="--requeue --comment=mine"
    threads: 2
    shell: "echo $SLURM_CPUS_PER_TASK $SLURM_MEM_PER_NODE > {output}; nproc > /dev/null"
rule b:
    input: "a.txt"
    output: "b.txt"
    resources: mem_mb=100, runtime=5, slurm_nice=100, gres="gpu:1", constraint="fast"
    shell: "cat {input} > {output}; echo $SLURM_JOB_GPUS $SLURMD_NODENAME >> {output}"
rule here:
    input: "b.txt"
    output: "here.txt"
    localrule: True
    shell: "echo ${{SLURM_JOB_ID:-no}} > {output}"
rule c:
    input: "here.txt"
    output: "c.txt"
    resources: mem_mb=100, runtime=5
    shell: "test -e c.again && cp {input} {output}; touch c.again; test -e {output}"
    # fails the first time
"""


def test_a_chain_of_rules_gets_what_it_asks_for_and_a_retry_and_local_rules_stay_here(
    cluster: Cluster, tmp_path: Path
) -> None:
    run = SnakemakeRun(cluster, tmp_path, CHAIN, "--retries", "1", stages="a,b")
    assert run.wait() == 0, run.trouble
    assert (tmp_path / "b.txt").read_text().split() == ["2", "400", "0", "n1"]
    assert (tmp_path / "c.txt").read_text() == "no\n"
    assert [s["submission"] for s in run.submissions("c")] == [1, 2]
    row = cluster.job(run.slurm_job("a"))
    assert (row["name"], row["comment"][:2]) == (run.name, "a.")
    assert run.events(status="running", stage="a")[0]["slurm_job"] == int(row["id"])
    assert run.events(status="running", stage="a")[0]["node"].startswith("n")
    assert not run.events(stage="c")  # no stage
    assert (tmp_path / "logs" / "slurm" / f"a.{row['id']}.log").is_file()


def test_twenty_rule_runs_cost_one_question_in_an_interval(
    cluster: Cluster, tmp_path: Path
) -> None:
    counted = Counted(tmp_path / "bin")
    many = {f"r{n}": ("mem_mb=10", "touch {output}") for n in range(20)}
    began = time.monotonic()
    run = SnakemakeRun(cluster, tmp_path, rules(**many), path=counted.folder, interval=5)
    assert run.wait() == 0, run.trouble
    assert counted.count("sbatch") == 20
    assert counted.count("squeue") <= (time.monotonic() - began) / 5 + 1
    assert [counted.count(name) for name in ("sacct", "scancel", "scontrol")] == [0, 0, 0]
