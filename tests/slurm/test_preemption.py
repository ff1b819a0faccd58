"""A stage whose place is given to a job of a better partition waits for the next one."""

from __future__ import annotations

from pathlib import Path

from tests.slurm.configuration import Options
from tests.slurm.conftest import started
from tests.slurm.processes import until
from tests.slurm.snakemake_runs import SnakemakeRun, rules

WAITING = "echo x >> {rule}.began; while ! test -e go; do sleep 0.1; done; touch {output}"
PREEMPTING = {"PreemptType": "preempt/partition_prio", "PreemptMode": "CANCEL", "KillWait": "1"}


def test_a_stage_is_submitted_again_however_often_it_was_preempted(tmp_path: Path) -> None:
    with started(Options(nodes=1, settings=PREEMPTING)) as cluster:
        cluster.run("scontrol", "update", "partitionname=short", "PriorityTier=10")
        run = SnakemakeRun(cluster, tmp_path, rules(alone=WAITING), stages="alone", resubmissions=1)
        for times in range(1, 4):
            began = "x\n" * times
            until(lambda text=began: _read(tmp_path / "alone.began") == text, "it runs", 60)  # type: ignore[misc]
            over = tmp_path / f"over.{times}"
            command = f"while ! test -e {over}; do sleep 0.1; done"
            cluster.run("sbatch", "--partition=short", "--exclusive", f"--wrap={command}")
            until(lambda n=times: len(run.submissions("alone")) == n + 1, "again", 60)  # type: ignore[misc]
            over.touch()
        until(lambda: _read(tmp_path / "alone.began") == "x\n" * 4, "it runs", 60)
        (tmp_path / "go").touch()
        assert run.wait() == 0, run.trouble
        assert run.notes().count("had to make place for another job. It is submitted again.") == 3
        assert {cluster.job(s["slurm_job"])["state"] for s in run.submissions("alone")[:-1]} == {
            "PREEMPTED"
        }


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
