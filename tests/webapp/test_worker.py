"""Workers: real processes that are told, drained, stopped and scaled while jobs run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from runner import __version__
from webapp import jobs, pools, redis_server
from webapp.models import Worker

from .running import ROOT, Running, assert_exactly_once, open_running, until
from .worlds import make_home

# Processes are slow to start: tests that leave the worker as it was share one.
PATIENT = {  # with these, what happens soon happens because somebody was told
    "JOBRUNNER_HEARTBEAT": "20",
    "JOBRUNNER_WORKER_LOST_AFTER": "60",
    "JOBRUNNER_RECONCILE_EVERY": "60",
}
WIDE = ("--cores", "64", "--mem", "64000")


@pytest.fixture
def service(idle_service: Running, redis_url: str) -> Running:
    """Database and Redis; workers are started by the tests."""
    return idle_service


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with a worker of two slots, which no test stops."""
    home = make_home(tmp_path_factory.mktemp("shared") / "home").path
    redis = redis_server.start(home)
    running = open_running(home)
    _start(running, slots=2)
    yield running
    running.stop()
    os.kill(redis, signal.SIGKILL)
    os.waitpid(redis, 0)


def _start(service: Running, slots: int = 1, **environment: str) -> subprocess.Popen[str]:
    before = len(_living(service))
    process = service.start("worker", "--slots", str(slots), *WIDE, **{**PATIENT, **environment})
    until(lambda: len(_living(service)) > before, f"a worker; {service.output.read_text()}")
    return process


def _living(service: Running) -> list[Worker]:
    with service.service.db.read() as session:
        return pools.living(session, service.service.settings)


def _gate(service: Running, name: str = "gate") -> tuple[Path, dict[str, str]]:
    """Give a file, and the parameters of a job that waits for it."""
    gate = service.home / name
    return gate, {"command": f"until [ -e {gate} ]; do sleep 0.05; done"}


def _attempts(service: Running, job_id: str) -> list[str]:
    return [e["status"] for e in service.events(job_id) if e["kind"] == "attempt"]


def _running(service: Running) -> int:
    return list(service.statuses().values()).count("running")


def test_a_job_is_pushed_to_a_worker_and_a_freed_slot_to_the_next_job(shared: Running) -> None:
    found = [shared.submit("trivial") for _ in range(5)]
    assert shared.until_ended(*found, seconds=30) == ["succeeded"] * 5
    assert_exactly_once(shared, found)


def test_a_worker_says_who_it_is(shared: Running) -> None:
    (worker,) = _living(shared)
    pid = shared.processes[0].pid
    assert (worker.pid, worker.pool, worker.slots, worker.cores) == (pid, "default", 2, 64)
    assert (worker.version, worker.state) == (__version__, "running")
    assert worker.host == os.uname().nodename


def test_cancelling_stops_the_attempt(shared: Running) -> None:
    job = shared.submit(params={"command": "sleep 60"})
    shared.until_running(job)
    jobs.cancel(shared.service, job, "jane")
    assert shared.until_ended(job, seconds=20) == ["cancelled"]
    assert _attempts(shared, job) == ["started", "cancelled"]


def test_told_to_stop_it_waits_for_its_attempt_and_takes_no_other(service: Running) -> None:
    process = _start(service)
    gate, params = _gate(service)
    first = service.submit(params=params)
    second = service.submit("trivial")
    service.until_running(first)
    process.terminate()
    until(lambda: not _living(service), "it drains")
    assert process.poll() is None
    gate.touch()
    assert process.wait(20) == 0
    assert service.row(first).status == "succeeded"
    assert service.row(second).status == "queued"
    with service.service.db.read() as session:
        assert session.query(Worker).count() == 0
    _start(service)
    assert service.until_ended(second) == ["succeeded"]
    assert_exactly_once(service, [first, second])


def test_told_twice_it_stops_the_attempt_and_the_job_continues_later(service: Running) -> None:
    process = _start(service)
    gate, params = _gate(service)
    job = service.submit(params=params)
    service.until_running(job)
    process.terminate()
    until(lambda: not _living(service), "it drains")
    process.send_signal(signal.SIGINT)
    assert process.wait(40) == 0
    assert service.row(job).status == "queued"
    assert _attempts(service, job) == ["started", "interrupted"]
    gate.touch()
    _start(service)
    assert service.until_ended(job) == ["succeeded"]
    assert_exactly_once(service, [job])


def test_the_slots_of_a_pool_change_while_it_works_and_nothing_is_stopped(
    service: Running,
) -> None:
    _start(service, slots=1)
    gate, params = _gate(service)
    found = [service.submit(params=params) for _ in range(5)]
    service.until_running(found[0])
    until(lambda: _running(service) == 1, "one job runs")
    assert _capacity(service, "default", "4").startswith("Pool default: 4 slots, on 1 living")
    until(lambda: _running(service) == 4, "four jobs run", 15)
    _capacity(service, "default", "1")
    assert _running(service) == 4
    gate.touch()
    assert service.until_ended(*found) == ["succeeded"] * 5
    assert_exactly_once(service, found)
    times = [
        {e["status"]: e["time"] for e in service.events(j) if e["kind"] == "status"} for j in found
    ]
    last = max(times, key=lambda t: t["running"])
    assert all(t["succeeded"] <= last["running"] for t in times if t is not last)
    assert "1 (what its workers offer)" in _capacity(service, "default", "auto")


def _capacity(service: Running, *arguments: str) -> str:
    command = [sys.executable, "-m", "webapp.cli.capacity", *arguments]
    done = subprocess.run(
        command, env=service.environment(), cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_workers_of_several_hosts_share_the_slots_that_are_set(service: Running) -> None:
    _start(service, slots=2)
    _start(service, slots=2)
    _capacity(service, "default", "3")
    gate, params = _gate(service)
    found = [service.submit(params=params) for _ in range(5)]
    until(lambda: _running(service) == 3, "three jobs run")
    claimed = {service.row(job).claimed_by for job in found} - {None}
    assert len(claimed) == 2, "each of them runs some"
    gate.touch()
    assert service.until_ended(*found) == ["succeeded"] * 5
    assert_exactly_once(service, found)


def test_a_job_that_cannot_start_fails_and_says_why(service: Running) -> None:
    without_release, changed = service.submit("trivial"), service.submit("toy")
    (record,) = (service.home / "releases").glob("trivial-1*")
    shutil.rmtree(record)
    (found,) = (service.service.path(service.row(changed)) / "input").iterdir()
    found.write_text("something else\n")
    _start(service)
    assert service.until_ended(without_release, changed) == ["failed", "failed"]
    first, second = service.row(without_release).error, service.row(changed).error
    assert first is not None
    assert second is not None
    assert (first["code"], second["code"]) == ("not_found", "invalid_input")
    assert "jobrunner publish" in first["message"]
    assert "has changed since it was submitted" in second["message"]


def test_waking_a_worker_twice_runs_one_attempt(shared: Running) -> None:
    gate, params = _gate(shared)
    job = shared.submit(params=params)
    row = shared.until_running(job)
    for fence in (row.fence, row.fence, row.fence - 1):
        shared.service.queue.put("default", job, fence)
    until(lambda: shared.service.queue.length("default") == 0, "the wake-ups are taken")
    other = shared.submit("trivial")
    assert shared.until_ended(other) == ["succeeded"]
    gate.touch()
    assert shared.until_ended(job) == ["succeeded"]
    assert _attempts(shared, job) == ["started", "succeeded"]


def test_a_rerun_of_a_stage_runs_that_stage(shared: Running) -> None:
    job = shared.submit("toy")
    shared.until_ended(job)
    jobs.rerun(shared.service, job, "jane", stage="third", only=True)
    assert shared.until_ended(job) == ["succeeded"]
    second = [e.get("stage") for e in shared.events(job) if e["attempt"] == 2]
    assert set(second) - {None} == {"third"}


def test_an_attempt_started_by_hand_is_waited_for(service: Running) -> None:
    from runner import launch

    gate, params = _gate(service)
    job = service.submit(params=params)
    directory = service.service.directory(service.row(job))
    prepared = launch.reopen(service.service.home, directory)
    attempt = prepared.start(prepared.options())
    _start(service, JOBRUNNER_RECONCILE_EVERY="0.3")
    until(lambda: service.row(job).status == "running", "it is seen to run")
    assert attempt.wait(0.5) is None
    gate.touch()
    assert attempt.wait() == "succeeded"
    assert service.until_ended(job) == ["succeeded"]
    assert _attempts(service, job) == ["started", "succeeded"]


def test_a_worker_waits_for_redis_and_outlives_it(idle_service: Running, tmp_path: Path) -> None:
    worker = _start(idle_service, JOBRUNNER_RECONCILE_EVERY="0.5")
    first = idle_service.submit("trivial")
    pid = redis_server.start(idle_service.home)
    assert idle_service.until_ended(first, seconds=30) == ["succeeded"]
    gate, params = _gate(idle_service)
    second = idle_service.submit(params=params)
    idle_service.until_running(second)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    shutil.rmtree(idle_service.home / "redis")
    gate.touch()
    assert idle_service.until_ended(second, seconds=30) == ["succeeded"]
    third = idle_service.submit("trivial")
    assert idle_service.row(third).status == "queued"
    pid = redis_server.start(idle_service.home)
    try:
        assert idle_service.until_ended(third, seconds=30) == ["succeeded"]
        assert worker.poll() is None
        assert_exactly_once(idle_service, [first, second, third])
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_worker_that_was_struck_off_registers_again(service: Running) -> None:
    _start(service, JOBRUNNER_HEARTBEAT="0.2")
    with service.service.db.write() as session:
        for worker in _living(service):
            pools.leave(session, worker.id)
    until(lambda: _living(service), "it is back")


def test_a_killed_worker_is_struck_off_by_the_next_one_of_its_host(service: Running) -> None:
    first = _start(service)
    first.kill()
    first.wait()
    service.start("worker", "--slots", "1", *WIDE, **PATIENT)
    second = service.processes[-1].pid
    until(lambda: [worker.pid for worker in _living(service)] == [second], "only the second")


def test_an_idle_worker_needs_no_cpu(shared: Running) -> None:
    process = psutil.Process(shared.processes[0].pid)
    until(lambda: len(process.children()) == 4, "slots, reconciler, notifier")
    family = [process, *process.children()]

    def used() -> float:
        return sum(sum(p.cpu_times()[:2]) for p in family)

    job = shared.submit("trivial")
    shared.until_ended(job)
    before = used()
    with pytest.raises(psutil.TimeoutExpired):
        process.wait(3)
    assert used() - before < 0.15
