"""What a rule asks SLURM for, and what its commands may not do to us."""

from __future__ import annotations

import dataclasses
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.errors import InvalidConfiguration
from runner.profile import Profile
from runner.resources import Plan
from runner.slurm import commands, settings, submission
from runner.slurm.submission import Request

PROFILE = {
    "account": "climate", "partition": "main", "extra": "--mail-type=NONE", "nice": 10,
    "priority_qos": {"50": "high", "90": "urgent"}, "patience": 300, "overhead_mb": 200,
}  # fmt: skip
TYPES = {
    "solve_scenario": {
        "partition": "long",
        "stages": {"solve": {"mem_mb": 32000, "qos": "big", "constraint": "fast"}},
    }
}
AMOUNTS = {"mem_mb": 4000, "runtime": 90.5, "cores": 2}
PLAN = Plan(
    attempt={**AMOUNTS, "mem_mb": 32000, "gpu": 1},
    stages={"read": AMOUNTS, "solve": {**AMOUNTS, "mem_mb": 32000, "gpu": 1}},
    declared={"read": {}, "solve": {"mem_mb": 32000, "gpu": 1}},
    whole=AMOUNTS,
)


def _profile() -> Profile:
    return Profile(
        "hpc", "HPC", None, "platform.sqlite", None, False, "layers", "slurm", "slurm", "auto", {},
        PROFILE, TYPES,
    )  # fmt: skip


def test_a_stage_goes_before_its_type_and_that_before_the_profile() -> None:
    default, stages = settings.resources(_profile(), "solve_scenario", PLAN)
    assert default["slurm_account"] == "climate"
    assert default["slurm_partition"] == "long"
    assert default["slurm_extra"] == "--mail-type=NONE"
    assert (default["mem_mb"], default["runtime"]) == (4000, 91)
    most = {"slurm_most_cpus": 2, "slurm_most_mem": 4000, "slurm_most_runtime": 91}
    assert most.items() <= default.items()
    assert stages["read"] == most
    assert stages["solve"] == {
        "mem_mb": 32000, "gpu": 1, **most, "slurm_most_mem": 32000, "qos": "big",
        "constraint": "fast",
    }  # fmt: skip
    assert settings.resources(_profile(), "other", PLAN)[0]["slurm_partition"] == "main"


def test_extra_options_that_cannot_be_read_are_an_error_before_anything_starts() -> None:
    profile = dataclasses.replace(_profile(), slurm={"extra": "--comment='it is"})
    with pytest.raises(InvalidConfiguration, match=r"--comment='it is.*No closing"):
        settings.resources(profile, "other", PLAN)


@pytest.mark.parametrize(
    ("priority", "nice", "qos"),
    [(-100, 2000, None), (0, 1000, None), (50, 500, "high"), (89, 110, "high"),
     (100, None, "urgent")],
)  # fmt: skip
def test_priority_becomes_nice_and_a_qos(priority: int, nice: int | None, qos: str | None) -> None:
    default, _ = settings.resources(_profile(), "other", PLAN, priority)
    assert (default.get("slurm_nice"), default.get("qos")) == (nice, qos)


def test_the_profiles_manners_reach_the_executor() -> None:
    argv = settings.arguments(
        _profile(), run="r", folder=Path("/f"), events=Path("/e"), attempt=3, stages=["a", "b"]
    )
    text = " ".join(argv)
    assert "--jobrunner-slurm-patience 300 --jobrunner-slurm-overhead 200" in text
    assert "--jobrunner-slurm-attempt 3 --jobrunner-slurm-stages a,b" in text
    assert "interval" not in text


def test_what_a_rule_asks_for_becomes_options_of_sbatch(tmp_path: Path) -> None:
    resources = {
        "mem_mb": 8000, "runtime": 60, "slurm_account": "climate", "qos": "high", "gpu": 2,
        "slurm_reservation": "maintenance", "slurm_nice": 500, "slurm_extra": "--mem=1 -D '/a b'",
        "tmpdir": "/tmp", "constraint": "a&b",
    }  # fmt: skip
    request = Request.of("solve", 4, resources, 300)
    log = tmp_path / "100%j" / "solve.%j.log"
    found = submission.arguments(
        request, run="run", comment="solve.1.2", log=log, directory=tmp_path, avoid={"n2", "n1"}
    )
    assert found[:3] == ["--mem=1", "-D", "/a b"]  # ours come later and so go before
    for word in ("--mem=8300", "--time=60", "--cpus-per-task=4", "--gpus=2", "--nice=500",
                 "--account=climate", "--qos=high", "--constraint=a&b", "--exclude=n1,n2",
                 "--reservation=maintenance", f"--chdir={tmp_path}", "--job-name=run",
                 f"--output={tmp_path}/100%%j/solve.%j.log", "--comment=solve.1.2"):  # fmt: skip
        assert word in found
    assert not [word for word in found if "requeue" in word]  # as the cluster says


def test_a_rules_own_wish_is_granted_within_what_its_stage_may_take() -> None:
    most = {"slurm_most_cpus": 2, "slurm_most_mem": 4000, "slurm_most_runtime": 90}
    modest = Request.of("a", 1, {"mem_mb": 500, "runtime": 5, **most}, 300)
    assert (modest.cpus, modest.memory_mb, modest.minutes) == (2, 500, 5)
    greedy = Request.of("a", 8, {"mem_mb": 64000, "runtime": 900, **most}, 300)
    assert (greedy.cpus, greedy.memory_mb, greedy.minutes) == (2, 4000, 90)
    assert Request.of("a", 1, {**most, "slurm_most_cpus": 1}, 300).cpus == 1


def test_what_is_not_asked_for_is_the_clusters_default() -> None:
    assert Request.of("a", 1, {}, 300).options() == ["--ntasks=1", "--cpus-per-task=1"]


def test_the_batch_script_is_the_guard_and_names_survive_the_shell(tmp_path: Path) -> None:
    folder = tmp_path / "it's a folder"
    text = submission.script("/usr/bin/python3", folder, 3, folder / "command.sh")
    words = shlex.split(text.splitlines()[-1])
    assert words[:4] == ["exec", "/usr/bin/python3", "-S", "-E"]
    assert Path(words[4]).is_file()
    assert words[5:] == [str(folder), "3", "--", "/bin/sh", f"{folder}/command.sh"]


def _double(folder: Path, name: str, code: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{code}\n")
    (folder / name).chmod(0o755)


def test_a_command_that_hangs_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _double(tmp_path, "sbatch_that_hangs", "sleep 60 & wait")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    began = time.monotonic()
    answer = commands.ask("sbatch_that_hangs", script="#!/bin/sh\n", limit=0.3)
    assert (answer.kind, answer.unsure) == ("away", True)
    assert time.monotonic() - began < 5


def test_a_host_without_slurm_is_told_at_once() -> None:
    answer = commands.ask("no-such-sbatch")
    assert (answer.kind, "no-such-sbatch is not on the PATH" in answer.said) == ("refused", True)
    assert submission.refusal(answer.said).kind == "never"


def test_a_runner_inside_a_slurm_job_does_not_hand_that_jobs_options_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1")
    monkeypatch.setenv("SQUEUE_FORMAT", "%i")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm/slurm.conf")
    found = commands.environment()
    assert "SLURM_MEM_PER_NODE" not in found
    assert "SQUEUE_FORMAT" not in found
    assert found["SLURM_CONF"] == "/etc/slurm/slurm.conf"


def test_a_command_is_for_the_cluster_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", "/of/mine.conf")
    assert commands.environment("/of/another.conf")["SLURM_CONF"] == "/of/another.conf"
    assert "SLURM_CONF" not in commands.environment("")  # the host's own configuration


def test_the_plugin_costs_a_start_of_snakemake_nothing() -> None:
    code = (
        "import sys, snakemake_interface_executor_plugins.executors.remote as _\n"
        "before = set(sys.modules)\n"
        "import snakemake_executor_plugin_jobrunner_slurm\n"
        "print(*set(sys.modules) - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    added = set(done.stdout.split())
    assert "snakemake_executor_plugin_jobrunner_slurm" in added
    assert not {name for name in added if name.partition(".")[0] in ("runner", "pandas", "yaml")}
