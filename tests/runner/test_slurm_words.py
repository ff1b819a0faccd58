"""SLURM's words, as they were really seen (22.05), are understood."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.slurm import commands, failure, states, submission

FAILED = "sbatch: error: Batch job submission failed: "


def said(text: str) -> str:
    """Give complaints as `commands.ask` does."""
    return commands._plain(text)


@pytest.mark.parametrize(
    ("text", "kind", "unsure"),
    [
        (f"{FAILED}Unable to contact slurm controller (connect failure)\n", "away", False),
        (f"{FAILED}Socket timed out on send/recv operation\n", "away", True),
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", "away",
         False),
        ("squeue: error: ClusterName needs to be specified\n"
         "squeue: fatal: Unable to process configuration file\n", "away", False),
        (f"{FAILED}Protocol authentication error\n", "away", False),
        (f"{FAILED}Unable to contact slurm controller (receive failure)\n", "away", True),
        (f"{FAILED}Unable to contact slurm controller (shutdown failure)\n", "away", True),
        (f"{FAILED}Message receive failure\n", "away", True),
        (f"{FAILED}Rate limit exceeded, please retry momentarily\n", "away", False),
        (f"{FAILED}Zero Bytes were transmitted or received\n", "away", True),
        ("Slurm accounting storage is disabled\n", "refused", False),
        (f"{FAILED}Invalid qos specification\n", "refused", False),
    ],
)  # fmt: skip
def test_no_answer_is_not_a_refusal(text: str, kind: str, unsure: bool) -> None:
    answer = commands._understood(1, "", said(text))
    assert (answer.kind, answer.unsure) == (kind, unsure)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"sbatch: error: AssocMaxSubmitJobLimit\n{FAILED}Job violates accounting/QOS policy (job "
         "submit limit, user's size and/or time limits)\n", "full"),
        (f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{FAILED}Job violates accounting/QOS policy "
         "(job submit limit, user's size and/or time limits)\n", "full"),
        (f"sbatch: error: AssocGrpSubmitJobsLimit\n{FAILED}Job violates accounting/QOS policy (job "
         "submit limit, user's size and/or time limits)\n", "full"),
        (f"sbatch: error: QOSGrpSubmitJobsLimit\n{FAILED}Job violates accounting/QOS policy (job "
         "submit limit, user's size and/or time limits)\n", "full"),
        (f"{FAILED}Job violates accounting/QOS policy (job submit limit, user's size and/or time "
         "limits)\n", "full"),
        (f"sbatch: error: QOSMaxCpuPerJobLimit\n{FAILED}Job violates accounting/QOS policy (job "
         "submit limit, user's size and/or time limits)\n", "never"),
        (f"{FAILED}Required partition not available (inactive or drain)\n", "closed"),
        ("sbatch: error: invalid partition specified: none\n"
         f"{FAILED}Invalid partition name specified\n", "never"),
        (f"{FAILED}Invalid account or account/partition combination specified\n", "never"),
        (f"{FAILED}Invalid qos specification\n", "never"),
        ("sbatch: error: Memory specification can not be satisfied\n"
         f"{FAILED}Requested node configuration is not available\n", "never"),
        (f"{FAILED}Invalid feature specification\n", "never"),
        (f"{FAILED}Requested reservation is invalid\n", "never"),
        ("sbatch: error: Invalid generic resource (gres) specification\n", "never"),
        (f"{FAILED}Requested time limit is invalid (missing or exceeds some limit)\n", "never"),
        ("sbatch: unrecognized option '--bogus'\nTry \"sbatch --help\" for more information\n",
         "never"),
        ("sbatch: error: Please be nice to the operators\n", "unknown"),
    ],
)  # fmt: skip
def test_what_can_be_had_later_is_told_from_what_cannot_be_had(text: str, kind: str) -> None:
    found = submission.refusal(said(text))
    assert found.kind == kind
    assert bool(found.advice) == (kind == "never")


@pytest.mark.parametrize(
    "reason",
    [
        "PartitionTimeLimit", "AccountNotAllowed", "PartitionConfig", "BadConstraints",
        "InvalidAccount", "InvalidQOS", "QOSMaxCpuPerJobLimit", "QOSMaxMemoryPerJob",
        "AssocMaxWallDurationPerJobLimit", "QOSMinCpuNotSatisfied", "QOSMaxGRESPerJob",
        "MaxMemPerLimit", "ReservationDeleted", "DeadLine", "DependencyNeverSatisfied",
        "Job's account not permitted to use this partition (members allows climate not energy)",
    ],
)  # fmt: skip
def test_a_reason_that_never_clears_comes_with_what_to_do(reason: str) -> None:
    assert states.advice(reason)


@pytest.mark.parametrize(
    "reason",
    [
        "None", "Priority", "Resources", "Dependency", "BeginTime", "Licenses", "PartitionDown",
        "PartitionNodeLimit",
        "PartitionInactive", "JobHeldUser", "JobHeldAdmin", "Reservation", "AssocGrpCpuLimit",
        "AssocMaxJobsLimit", "QOSMaxJobsPerUserLimit", "QOSMaxCpuPerUserLimit", "JobArrayTaskLimit",
        "QOSGrpMemLimit", "AssocGrpCPUMinutesLimit", "NodeDown", "Cleaning", "Prolog",
        "ReqNodeNotAvail, UnavailableNodes:n[1-4]", "launch failed requeued held", "NewInSlurm30",
        "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority "
        "partitions",
    ],
)  # fmt: skip
def test_a_full_or_closed_cluster_is_waited_for(reason: str) -> None:
    assert states.advice(reason) is None
    assert states.explained(reason).startswith(reason)


@pytest.mark.parametrize(
    ("log", "largest"),
    [
        ("slurmstepd-n1: error: StepId=21.batch exceeded memory limit (385789952 > 314572800), "
         "being killed\nslurmstepd-n1: error: Exceeded job memory limit\n", 385789952 / 2**20),
        ("slurmstepd-c1: error: Detected 1 oom-kill event(s) in StepId=2.0. Some of your processes "
         "may have been killed by the cgroup out-of-memory handler.\n", None),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=2.batch. Some of the step tasks "
         "have been OOM Killed.\n", None),
    ],
)  # fmt: skip
def test_slurms_log_says_that_memory_was_the_reason(log: str, largest: float | None) -> None:
    assert failure.was_over_memory(log)
    request = submission.Request.of("solve", 1, {"mem_mb": 300}, 0)
    assert failure.Case(request, log=log).largest_mb == largest


@pytest.mark.parametrize(
    "log",
    [
        "slurmstepd-n1: error: *** JOB 23 ON n1 CANCELLED AT 2026-11-23T06:12:54 ***\n",
        "slurmstepd: error: *** JOB 1 ON n1 CANCELLED AT 2026-11-23T06:13:42 DUE TO TIME LIMIT ***",
        "java.lang.OutOfMemoryError: OOM Killed?\n",
    ],
)
def test_other_ends_are_not_taken_for_it(log: str) -> None:
    assert not failure.was_over_memory(log)


def test_the_accounting_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "21|FAILED||00:00:02|n1\n21.batch|CANCELLED by 0|376748K|00:00:02|n1\n"
        "23|CANCELLED by 0||00:00:03|None assigned\n7|FAILED||00:01:00|c1\n"
        "7.batch|FAILED|1.5G|00:01:00|c1\n7.0|OUT_OF_MEMORY|0|00:01:00|c1\n"
    )
    (tmp_path / "sacct").write_text(f"#!/bin/sh\nprintf '%s' '{text}'\n")  # a double with real text
    (tmp_path / "sacct").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    answer, found = commands.accounts(["21", "23", "7"])
    assert answer.kind == "ok"
    assert found["21"].largest_mb == pytest.approx(367.9, abs=0.1)
    assert (found["23"].state, found["23"].by, found["23"].nodes) == ("CANCELLED", 0, "")
    assert (found["7"].state, found["7"].over_memory, found["7"].largest_mb) == (
        "FAILED",
        True,
        1536,
    )
