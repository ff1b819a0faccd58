"""Kill -9 of each part of the service in the middle of jobs: all succeed, each exactly once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import urllib.error
import urllib.request
from contextlib import suppress

import psutil
import pytest

from tests.webapp.running import Running, assert_exactly_once, until

NUMBER = 50  # jobs


@pytest.fixture
def busy(idle_service: Running) -> tuple[Running, list[str], str]:
    """A service with some jobs, one of them in the middle of its second stage."""
    jobs = [idle_service.submit("toy", params={"command": "sleep 1.5"}, priority=50)]
    jobs += [idle_service.submit("trivial") for _ in range(NUMBER - 1)]
    idle_service.up()
    idle_service.until_running(jobs[0])
    return idle_service, jobs, jobs[0]


def _attempts(running: Running, job_id: str) -> list[str]:
    return [e["status"] for e in running.events(job_id) if e["kind"] == "attempt"]


def _all_succeed(running: Running, jobs: list[str]) -> None:
    assert set(running.until_ended(*jobs)) == {"succeeded"}
    assert_exactly_once(running, jobs)


def test_killing_the_horse_interrupts_its_attempt_and_the_job_continues(
    busy: tuple[Running, list[str], str],
) -> None:
    running, jobs, long = busy
    running.horse(long).kill()
    _all_succeed(running, jobs)
    assert _attempts(running, long) == ["started", "interrupted", "started", "succeeded"]
    stages = [e["stage"] for e in running.events(long) if e["kind"] == "stage"]
    assert stages.count("first") == 2, "started and ended once: its output was kept"


def test_killing_a_slot_leaves_its_attempt_alone(busy: tuple[Running, list[str], str]) -> None:
    running, jobs, long = busy
    slot = running.horse(long).parent()
    assert slot is not None
    slot.kill()
    _all_succeed(running, jobs)
    assert _attempts(running, long) == ["started", "succeeded"]


def test_killing_a_slot_and_its_horse_interrupts_the_attempt_and_the_job_continues(
    busy: tuple[Running, list[str], str],
) -> None:
    running, jobs, long = busy
    horse = running.horse(long)
    slot = horse.parent()
    assert slot is not None
    slot.kill()
    horse.kill()
    _all_succeed(running, jobs)
    assert _attempts(running, long) == ["started", "interrupted", "started", "succeeded"]


def test_killing_the_worker_process_leaves_its_attempts_alone(
    busy: tuple[Running, list[str], str],
) -> None:
    running, jobs, long = busy
    running.worker().kill()
    _all_succeed(running, jobs)
    assert _attempts(running, long) == ["started", "succeeded"]


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_killing_all_of_a_worker_interrupts_its_attempts_and_the_jobs_continue(
    busy: tuple[Running, list[str], str],
) -> None:
    running, jobs, long = busy
    worker = running.worker()
    for process in [worker, *worker.children(recursive=True)]:
        _kill(process)
    _all_succeed(running, jobs)
    assert _attempts(running, long) == ["started", "interrupted", "started", "succeeded"]


@pytest.mark.parametrize("data", ["kept", "lost"])
def test_killing_redis_with_and_without_its_data_costs_seconds_not_jobs(
    busy: tuple[Running, list[str], str], data: str
) -> None:
    running, jobs, long = busy
    redis = running.redis()
    if data == "lost":
        shutil.rmtree(running.home / "redis" / "appendonlydir", ignore_errors=True)
        for file in (running.home / "redis").glob("*.[ar]*[fb]"):
            file.unlink()
    redis.kill()
    _all_succeed(running, jobs)
    assert _attempts(running, long) == ["started", "succeeded"]


def test_emptying_redis_costs_seconds_not_jobs(busy: tuple[Running, list[str], str]) -> None:
    running, jobs, _ = busy
    for _ in range(5):
        running.service.queue.connection(1).flushall()
        time.sleep(0.3)  # in different moments of different jobs
    _all_succeed(running, jobs)


@pytest.mark.parametrize("part", ["first process", "all of it"])
def test_killing_the_web_server_costs_nobody_a_job_and_it_comes_back(
    busy: tuple[Running, list[str], str], part: str
) -> None:
    running, jobs, _ = busy
    web = running.web()
    for process in [web, *(web.children(recursive=True) if part == "all of it" else [])]:
        _kill(process)
    sent = json.dumps({"type": "trivial", "instance": "default"}).encode()
    request = urllib.request.Request(f"{running.url}/api/v1/jobs", sent)
    request.add_header("Authorization", f"Bearer {running.token}")
    request.add_header("Content-Type", "application/json")
    answer = until(lambda: _answer(request), "the web server is back", 30)
    _all_succeed(running, [*jobs, answer["id"]])


def test_killing_everything_leaves_no_process_and_a_new_start_ends_all_jobs(
    busy: tuple[Running, list[str], str],
) -> None:
    running, jobs, _ = busy
    os.kill(running.processes[-1].pid, signal.SIGKILL)
    running.processes[-1].wait()
    until(lambda: not running.left(), "all processes end", 30)
    running.up()
    _all_succeed(running, jobs)


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()


def _answer(request: urllib.request.Request) -> dict[str, str] | None:
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            found: dict[str, str] = json.load(answer)
            return found
    except (OSError, urllib.error.URLError):
        return None
