"""The cluster for tests: how jobs end on it, who may use it, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.configuration import Options
from tests.slurm.conftest import started
from tests.slurm.processes import processes_where, until

ROOT = Path(__file__).resolve().parents[2]
EAT = "/usr/bin/python3 -c 'import time; eaten = bytearray(400_000_000); time.sleep(600)'"


@pytest.fixture(autouse=True)
def _as_before(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in {"cluster", "accounting_cluster", "cgroup_cluster"} & set(request.fixturenames):
        request.getfixturevalue(name).reset()


def of(folder: Path) -> list[psutil.Process]:
    """Find whatever was started for the cluster of a folder."""
    marks = {"SLURM_CONF": f"{folder}/slurm.conf"}.items()

    def belongs(process: psutil.Process) -> bool:
        return (
            marks <= process.environ().items()
            or str(folder) in " ".join(process.cmdline())
            or process.cwd().startswith(str(folder))
        )

    return list(processes_where(belongs))


def test_jobs_end_as_they_do_on_a_real_cluster(cluster: Cluster) -> None:
    well = cluster.submit("echo done")
    badly = cluster.submit("exit 3")
    eater = cluster.submit(EAT, "--mem=100")
    late = cluster.submit("sleep 600", "--time=2")
    lost = cluster.submit("sleep 600", "--nodelist=n4")
    again = cluster.submit("sleep 600", "--nodelist=n4", "--requeue")
    unwanted = cluster.submit("sleep 600")
    for job in (late, lost, again, unwanted):
        cluster.until_state(job, "RUNNING")
    cluster.run("scancel", unwanted)
    cluster.run("scontrol", "update", f"jobid={late}", "EndTime=now+1")  # looked at every 30 s
    cluster.kill_node("n4")

    def end(job: str) -> tuple[str, str]:
        row = cluster.until_state(job, timeout=120)
        return row["state"], row["reason"]

    assert end(well) == ("COMPLETED", "None")
    assert (cluster.folder / "work" / f"{well}.out").read_text() == "done\n"
    assert end(badly) == ("FAILED", "NonZeroExitCode")
    assert end(unwanted) == ("CANCELLED", "None")
    assert end(eater) == ("FAILED", "JobLaunchFailure")  # without cgroups only its log tells
    assert "exceeded memory limit" in (cluster.folder / "work" / f"{eater}.out").read_text()
    assert end(late) == ("TIMEOUT", "TimeLimit")
    assert end(lost) == ("NODE_FAIL", "NodeDown")
    assert cluster.job(again)["state"] == "PENDING"
    assert "down" in cluster.node_states()["n4"]


def test_a_cgroup_makes_out_of_memory_a_state(cgroup_cluster: Cluster) -> None:
    job = cgroup_cluster.submit(EAT, "--mem=100")
    assert cgroup_cluster.until_state(job)["state"] == "OUT_OF_MEMORY"

    def told() -> str:
        return cgroup_cluster.run("sacct", "-nPX", "-j", job, "--format=State,ReqMem")

    until(lambda: told() == "OUT_OF_MEMORY|100M", "sacct knows it")


def test_a_job_outlives_a_restart_of_the_controller(cluster: Cluster) -> None:
    flag = cluster.folder / "work" / "go"
    job = cluster.submit(f"until [ -e {flag} ]; do sleep 0.1; done")
    cluster.until_state(job, "RUNNING")
    cluster.stop_controller()
    assert not cluster.answers()
    cluster.start_controller()
    assert cluster.job(job)["state"] == "RUNNING"
    flag.touch()
    assert cluster.until_state(job)["state"] == "COMPLETED"


def test_a_job_outlives_a_restart_of_its_node(cluster: Cluster) -> None:
    flag = cluster.folder / "work" / "go-on"
    job = cluster.submit(f"until [ -e {flag} ]; do sleep 0.1; done", "--nodelist=n3")
    cluster.until_state(job, "RUNNING")
    cluster.kill_node("n3", steps=False)
    cluster.start_node("n3")
    flag.touch()
    assert cluster.until_state(job)["state"] == "COMPLETED"


def test_accounts_limits_and_qos_are_enforced(accounting_cluster: Cluster) -> None:
    def refused(*options: str) -> str:
        done = accounting_cluster.command("sbatch", "--wrap=true", *options)
        assert done.returncode == 1
        return done.stderr

    def wait_for(reason: str, *options: str) -> None:
        job = accounting_cluster.submit("sleep 600", *options)
        until(lambda: reason in accounting_cluster.job(job)["reason"], reason)

    assert "Invalid account" in refused("--account=nobodys")
    assert "Invalid qos" in refused("--qos=nobodys")
    for _ in range(2):
        accounting_cluster.submit("sleep 600", "--account=few", "--hold")
    assert "AssocMaxSubmitJobLimit" in refused("--account=few")
    wait_for("AssocGrpCpuLimit", "--account=tiny", "--cpus-per-task=3")
    wait_for("QOSMaxCpuPerJobLimit", "--qos=small", "--cpus-per-task=3")
    wait_for("PartitionTimeLimit", "--partition=short", "--time=10")
    wait_for("not permitted", "--partition=members", "--account=energy")


def test_all_runs_as_an_ordinary_user() -> None:
    account = "nobody" if os.geteuid() == 0 else None
    with started(Options(nodes=1, user=account)) as cluster:
        job = cluster.submit("id -un")
        row = cluster.until_state(job)
        assert row["state"] == "COMPLETED"
        said = (cluster.folder / "work" / f"{job}.out").read_text()
        assert said.strip() == row["user"] == cluster.options.account
        assert {p.username() for p in of(cluster.folder)} == {cluster.options.account}


def test_nothing_is_left_behind() -> None:
    with started(Options(nodes=2)) as cluster:
        job = cluster.submit("setsid sleep 600 & srun sleep 600")
        cluster.until_state(job, "RUNNING")
        until(lambda: len(cluster.keepers("n1")) == 2, "the batch script and its step run")
        assert of(cluster.folder)
    assert not of(cluster.folder)
    assert not cluster.folder.exists()


def test_a_start_that_fails_leaves_nothing_and_says_why(short_folder: Path) -> None:
    wrong = Options(nodes=1, settings={"SelectType": "select/nonsense"})
    with pytest.raises(RuntimeError, match="select/nonsense"):
        Cluster(short_folder, wrong).start()
    assert not of(short_folder)


def test_daemons_end_with_a_killed_test_run(short_folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.slurm.cluster import Cluster;"
        "Cluster(Path(sys.argv[1])).start(); print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, short_folder], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert len(of(short_folder)) > 5
        process.send_signal(signal.SIGKILL)
    until(lambda: not of(short_folder), "no daemon lives")


def test_it_is_started_and_ended_from_the_command_line(short_folder: Path) -> None:
    def call(*words: str) -> str:
        argv = [sys.executable, "-m", "tests.slurm.cluster", *words, str(short_folder)]
        return subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout.decode()

    said = call("up", "--nodes=1")
    assert said == f"export SLURM_CONF={short_folder}/slurm.conf\n"
    cluster = Cluster.load(short_folder)
    job = cluster.submit("sleep 600")
    assert said in call("up", "--nodes=1")
    assert cluster.until_state(job, "RUNNING")  # the second call left it alone
    call("down")
    assert not of(short_folder)
    call("down")


def test_a_folder_of_other_things_is_not_emptied(short_folder: Path) -> None:
    (short_folder / "thesis.txt").touch()
    with pytest.raises(ValueError, match="not of a cluster"):
        Cluster(short_folder).start()
    assert [path.name for path in short_folder.iterdir()] == ["thesis.txt"]
