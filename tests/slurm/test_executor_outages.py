"""While SLURM is away, full or unsure the job waits; nothing is submitted twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.processes import until
from tests.slurm.snakemake_runs import Counted, SnakemakeRun, rules

PAIR = """
rule all:
    input: "b.txt"
rule a:
    output: "a.txt"
    resources: mem_mb=50, runtime=5
    shell: "touch a.began; while ! test -e go; do sleep 0.1; done; touch {output}"
rule b:
    input: "a.txt"
    output: "b.txt"
    resources: mem_mb=50, runtime=5
    shell: "touch {output}"
"""
TIMED_OUT = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"


@pytest.fixture
def healed(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster that is put in order after the test."""
    yield cluster
    cluster.reset()


def test_the_controller_may_be_away_while_rules_run_and_are_submitted(
    healed: Cluster, tmp_path: Path
) -> None:
    run = SnakemakeRun(healed, tmp_path / "a", PAIR, stages="a,b")
    impatient = SnakemakeRun(healed, tmp_path / "b", PAIR, patience=10)
    for one in (run, impatient):
        one.until_running("a")
    healed.stop_controller()
    for one in (run, impatient):
        (one.folder / "go").touch()
    assert impatient.wait() == 1
    error = impatient.failure("b")
    assert (error["code"], "for longer than 10 s" in error["message"]) == ("cluster_away", True)
    assert (run.folder / "a.txt").exists()
    until(lambda: "SLURM does not answer since" in run.notes(), "the outage is told")
    until(lambda: run.events(stage="b", status="waiting"), "the stage is seen to wait")
    assert run.process.poll() is None
    healed.start_controller()
    assert run.wait() == 0, run.trouble
    assert "SLURM answers again" in run.notes()
    assert len(run.submissions("b")) == 1


def test_a_limit_that_others_have_reached_is_waited_for_as_long_as_it_takes(
    accounting_cluster: Cluster, tmp_path: Path
) -> None:
    crowd = [accounting_cluster.submit("true", "--account=few", "--hold") for _ in range(2)]
    few = ('mem_mb=50, slurm_account="few"', "touch {output}")
    run = SnakemakeRun(accounting_cluster, tmp_path, rules(a=few), stages="a", patience=1)
    until(lambda: run.events(stage="a", status="waiting"), "the stage is seen to wait", 60)
    time.sleep(5)  # much longer than the patience
    assert run.process.poll() is None, run.trouble
    accounting_cluster.run("scancel", *crowd)
    assert run.wait() == 0, run.trouble
    waits = run.events(stage="a", status="waiting")[0]["reason"]
    assert "it is tried again: AssocMaxSubmitJobLimit" in waits


def test_a_partition_that_is_closed_for_a_while_is_waited_for(
    healed: Cluster, tmp_path: Path
) -> None:
    short = ('mem_mb=50, slurm_partition="short", runtime=5', "touch {output}")
    healed.run("scontrol", "update", "partitionname=short", "state=inactive")
    try:
        run = SnakemakeRun(healed, tmp_path, rules(a=short), stages="a", patience=1)
        until(lambda: run.events(stage="a", status="waiting"), "the stage is seen to wait", 60)
        time.sleep(5)
        assert run.process.poll() is None, run.trouble
    finally:
        healed.run("scontrol", "update", "partitionname=short", "state=up")
    assert run.wait() == 0, run.trouble
    assert "Required partition not available" in str(run.events(stage="a", status="waiting"))


def test_a_refusal_that_nobody_knows_is_tried_again_within_the_patience(
    cluster: Cluster, tmp_path: Path
) -> None:
    moody = Counted(tmp_path / "sbatch_that_refuses")
    refuses = 'echo "sbatch: error: Please be nice to the operators" >&2; exit 1'
    moody.write("sbatch", f'test -e "{tmp_path}/nice" || {{ {refuses}; }}')
    run = SnakemakeRun(cluster, tmp_path / "a", rules(a="touch {output}"), path=moody.folder)
    until(lambda: "Please be nice" in run.output, "it is refused", 60)
    time.sleep(4)  # longer than what is hopeless
    (tmp_path / "nice").touch()
    assert run.wait() == 0, run.trouble
    (tmp_path / "nice").unlink()
    options = {"path": moody.folder, "patience": 1}
    run = SnakemakeRun(cluster, tmp_path / "b", rules(a="touch {output}"), **options)  # type: ignore[arg-type]
    assert run.wait() == 1
    assert "for longer than 1 s (patience in the profile)" in run.failure("a")["message"]


def test_a_limit_of_submissions_is_waited_for(accounting_cluster: Cluster, tmp_path: Path) -> None:
    few = ('mem_mb=50, slurm_account="few"', "touch {output}")
    run = SnakemakeRun(
        accounting_cluster, tmp_path, rules(a=few, b=few, c=few), stages="a,b,c", patience=1
    )
    assert run.wait() == 0, run.trouble
    assert [len(run.submissions(rule)) for rule in "abc"] == [1, 1, 1]
    assert "AssocMaxSubmitJobLimit" in str([e.get("reason") for e in run.events(status="waiting")])


def test_a_submission_whose_answer_is_lost_is_not_made_twice(
    cluster: Cluster, tmp_path: Path
) -> None:
    losing = Counted(tmp_path / "sbatch_that_loses_its_first_answer")
    once = f'test -e "{tmp_path}/lost" || LOSE=1; touch "{tmp_path}/lost"'
    losing.write("sbatch", once, f'test -z "$LOSE" || {{ echo "{TIMED_OUT}" >&2; exit 1; }}')
    run = SnakemakeRun(
        cluster, tmp_path / "job", rules(a="echo x >> count; touch {output}"), path=losing.folder
    )
    assert run.wait() == 0, run.trouble
    assert (run.folder / "count").read_text() == "x\n"
    assert [job["name"] for job in cluster.jobs()].count(run.name) == 1


def test_a_submission_that_was_not_heard_is_made_again(cluster: Cluster, tmp_path: Path) -> None:
    deaf = Counted(tmp_path / "sbatch_that_times_out_first")
    deaf.write(
        "sbatch",
        f'test -e "{tmp_path}/late" || {{ touch "{tmp_path}/late"; cat > "{tmp_path}/script";'
        f' printf "%s\\n" "$@" > "{tmp_path}/words"; echo "{TIMED_OUT}" >&2; exit 1; }}',
    )
    command = "echo x >> count; while ! test -e go; do sleep 0.1; done; touch {output}"
    run = SnakemakeRun(cluster, tmp_path / "job", rules(a=command), path=deaf.folder)
    until(lambda: (run.folder / "count").exists(), "the second submission runs", 60)
    # now SLURM takes the first one after all
    words = (tmp_path / "words").read_text().splitlines()
    late = cluster.run("sbatch", *words, tmp_path / "script")
    assert cluster.until_state(late, "FAILED", "CANCELLED")
    (run.folder / "go").touch()
    assert run.wait() == 0, run.trouble
    assert (run.folder / "count").read_text() == "x\n"
    assert [s["submission"] for s in run.submissions("a")] == [2]
