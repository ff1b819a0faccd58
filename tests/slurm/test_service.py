"""The service on a cluster: many jobs of two instances, whose limits hold, through an outage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.slurm.cluster import Cluster
from tests.webapp.running import Running, assert_exactly_once, open_running, until
from tests.webapp.worlds import make_home
from webapp import pools
from webapp.client import Client, Job
from webapp.jobs.row import WAITS_MB

JOBS = 50
LIMITS = {"north": 9, "south": 5}
# 2 CPUs for each rule run: 8 of them fill the cluster, so that the others wait in it.
PROFILE = """
platform: {embedded: none.db}
environments: none
executor: slurm
slurm: {partition: main, interval: 3, overhead_mb: 200}
types: {toy: {cores: 2, mem_mb: 200, runtime: 10}}
"""


@pytest.fixture
def running(slurm_conf: Cluster, tmp_path: Path) -> Iterator[Running]:
    """A service that serves both pools, and two instances whose jobs run in the cluster."""
    home = make_home(tmp_path / "home").path
    (home / "config" / "profiles" / "cluster.yaml").write_text(PROFILE)
    for name, limit in LIMITS.items():
        text = f"profile: cluster\nrunning: {limit}\n"
        (home / "config" / "instances" / f"{name}.yaml").write_text(text)
    found = open_running(home)
    try:
        found.up("--slurm-slots", "16", slots=1)
        yield found
    finally:
        found.stop()
        slurm_conf.reset()


def test_fifty_jobs_of_two_instances_run_in_the_cluster_although_it_is_away_meanwhile(
    running: Running, slurm_conf: Cluster
) -> None:
    with Client(running.url, running.token) as client:
        jobs = _submitted(running, client)
        until(lambda: len(_now(running, "running")) >= 10, "10 jobs run", 120)
        waits = until(lambda: _pending(client, _now(running, "running")), "one waits there", 60)
        assert waits is not None
        assert waits.status == "running"
        until(lambda: _only_slots_are_taken(running), "their slots are all that is taken")
        slurm_conf.stop_controller()
        assert len(_now(running, "running")) >= 10
        before = _ran(running, jobs)
        until(lambda: _ran(running, jobs) > before, "what ran goes on, and is heard of", 60)
        slurm_conf.start_controller()
        assert set(running.until_ended(*jobs, seconds=400)) == {"succeeded"}
        shown = client.job(jobs[0])
    assert_exactly_once(running, jobs)
    _assert_limits_held(running, jobs)
    _assert_shown_whole(shown)
    until(lambda: not slurm_conf.run("squeue", "--noheader").strip(), "nothing is left in SLURM")


def _submitted(running: Running, client: Client) -> list[str]:
    """Submit the jobs through the API, those of both instances mixed."""
    words = running.home / "words.txt"
    words.write_text("one two\n")
    names = [list(LIMITS)[n % 2] for n in range(JOBS)]
    with ThreadPoolExecutor(4) as several:
        done = several.map(lambda n: client.submit("toy", {"text": words}, instance=n), names)
        return [job.id for job in done]


def _now(running: Running, status: str) -> list[str]:
    return [job_id for job_id, found in running.statuses().items() if found == status]


def _pending(client: Client, job_ids: Sequence[str]) -> Job | None:
    """Give a job with a stage of which SLURM says why it waits, as the API shows it."""
    for job in map(client.job, job_ids):
        for stage in job.stages:
            if stage.status == "waiting" and "is pending" in (stage.reason or ""):
                assert stage.slurm_job
                assert str(stage.reason).startswith(f"SLURM job {stage.slurm_job}")
                return job
    return None


def _ran(running: Running, job_ids: Sequence[str]) -> int:
    """Count the rule runs that have ended."""
    return sum(
        event["kind"] == "stage" and event["status"] == "succeeded"
        for job_id in job_ids
        for event in running.events(job_id)
    )


def _only_slots_are_taken(running: Running) -> bool:
    """Jobs that wait for the cluster leave the cores of this machine to others."""
    with running.service.db.read() as session:
        room = pools.room(session, running.service.settings)["slurm"]
    taken = room.used_slots, room.used_cores, room.used_mem_mb
    return taken == (sum(LIMITS.values()), 0, sum(LIMITS.values()) * WAITS_MB)


def _assert_limits_held(running: Running, job_ids: Sequence[str]) -> None:
    """No more jobs of an instance ran at the same time than it may run, and so many did."""
    steps: dict[str, list[tuple[str, int]]] = {name: [] for name in LIMITS}
    for job_id in job_ids:
        for event in running.events(job_id):
            if event["kind"] == "attempt":
                step = 1 if event["status"] == "started" else -1
                steps[running.row(job_id).instance].append((event["time"], step))
    for name, limit in LIMITS.items():
        number, most = 0, 0
        for _, step in sorted(steps[name]):  # of the same moment the ends first
            number += step
            most = max(most, number)
        assert (number, most) == (0, limit)


def _assert_shown_whole(job: Job) -> None:
    """The API tells where each stage ran and what it used."""
    assert [stage.status for stage in job.stages] == ["succeeded"] * 3
    for stage in job.stages:
        assert stage.node in ("n1", "n2", "n3", "n4")
        assert stage.slurm_job
        assert stage.used is not None
        assert stage.used["peak_mb"] > 0
    told: dict[str, Any] = job.document["attempts"][0]
    assert set(told["stages"]) == {"first", "second", "third"}
