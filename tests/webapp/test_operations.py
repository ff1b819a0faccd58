"""Operators see the queue, set limits and pause; what they change holds at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webapp.api_home import Api, running
from webapp import jobs, pools
from webapp.models import Worker


@pytest.fixture
def api(tmp_path: Path, database_url: str) -> Iterator[Api]:
    with running(tmp_path, database_url) as api:
        with api.service.db.write() as session:
            pools.register(session, pool="default", slots=1, cores=8, mem_mb=8000)
        yield api


def said(api: Api, method: str, path: str, token: str = "admin", **options: Any) -> Any:
    answer = api.call(method, f"/api/v1{path}", token, **options)
    assert answer.status_code == 200, answer.text
    return answer.json


def is_admitted(api: Api, job_id: str) -> bool:
    with api.service.db.read() as session:
        return jobs.get(session, job_id).admitted is not None


@pytest.mark.parametrize("place", ["/queue", "/pools/default", "/instances/default"])
def test_nothing_starts_while_paused_and_all_does_once_resumed(api: Api, place: str) -> None:
    paused = said(api, "POST", f"{place}/pause")["paused"]
    assert paused["by"] == "admin"
    assert paused["since"].endswith("Z")
    job_id = api.job()
    assert not is_admitted(api, job_id)
    (waiting,) = said(api, "GET", "/queue")["waiting"]
    assert waiting["id"] == job_id
    assert waiting["waiting"]["code"].endswith("_paused")
    assert said(api, "POST", f"{place}/pause")["paused"] == paused, "the first pause holds"
    assert said(api, "POST", f"{place}/resume")["paused"] is None
    assert is_admitted(api, job_id)
    assert said(api, "GET", "/queue")["waiting"] == []


def test_a_pause_of_one_instance_leaves_others_alone(api: Api) -> None:
    token = api.token("operator", "default")
    said(api, "POST", "/instances/default/pause", token)
    mine, other = api.job("default"), api.job("other")
    assert (is_admitted(api, mine), is_admitted(api, other)) == (False, True)
    queue = said(api, "GET", "/queue", token)
    assert [found["instance"] for found in queue["instances"]] == ["default"]
    assert queue["instances"][0]["paused"]["by"] == "operator"


def test_more_slots_are_used_at_once_and_null_gives_them_back(api: Api) -> None:
    waiting = [api.job() for _ in range(4)]
    assert [is_admitted(api, job_id) for job_id in waiting] == [True, False, False, False]
    pool = said(api, "PUT", "/pools/default/capacity", json={"slots": 3})
    assert (pool["slots"], pool["capacity"], pool["used_slots"]) == (3, 3, 3)
    assert [is_admitted(api, job_id) for job_id in waiting] == [True, True, True, False]
    pool = said(api, "PUT", "/pools/default/capacity", json={"slots": None})
    assert (pool["slots"], pool["capacity"], pool["used_slots"]) == (1, None, 3)
    assert [is_admitted(api, job_id) for job_id in waiting] == [True, True, True, False]


def test_workers_hear_of_a_change(api: Api) -> None:
    with api.service.queue.subscribe("jobrunner:capacity") as subscription:
        while subscription.wait(0.2):
            pass
        said(api, "PUT", "/pools/default/capacity", json={"slots": 0})
        assert subscription.wait(5)


def test_cores_and_memory_can_be_set(api: Api) -> None:
    body = {"slots": 2, "cores": 3, "mem_mb": 500}
    pool = said(api, "PUT", "/pools/default/capacity", json=body)
    assert (pool["cores"], pool["mem_mb"]) == (3, 500)
    (found,) = said(api, "GET", "/pools", token="viewer")["pools"]
    assert found == pool


def test_an_unknown_pool_or_instance_is_not_found(api: Api) -> None:
    for path in ("/pools/nothing/pause", "/instances/nothing/pause", "/instances/nothing/resume"):
        assert api.call("POST", f"/api/v1{path}").status_code == 404


def test_the_queue_says_order_place_and_reason(api: Api) -> None:
    first = api.job()
    low, high = api.job(priority=-5), api.job(priority=5)
    other = api.job("other", priority=1)
    queue = said(api, "GET", "/queue")
    assert is_admitted(api, first)
    assert [waiting["id"] for waiting in queue["waiting"]] == [high, other, low]
    assert [waiting["waiting"]["position"] for waiting in queue["waiting"]] == [1, 2, 3]
    assert queue["waiting"][0]["waiting"]["code"] == "no_free_slot"
    (pool,) = queue["pools"]
    assert (pool["waiting"], pool["running"], pool["slots"]) == (3, 1, 1)
    counts = {i["instance"]: (i["waiting"], i["running"]) for i in queue["instances"]}
    assert counts == {"default": (2, 1), "other": (1, 0)}
    assert said(api, "GET", "/queue?limit=1")["waiting"] == queue["waiting"][:1]


def test_the_queue_counts_only_what_the_token_may_see(api: Api) -> None:
    mine = [api.job("default") for _ in range(2)]
    api.job("other")
    queue = said(api, "GET", "/queue", api.token("viewer", "default"))
    assert [waiting["id"] for waiting in queue["waiting"]] == mine[1:]
    assert (queue["pools"][0]["waiting"], queue["pools"][0]["running"]) == (1, 1)


def test_instances_say_their_limits_and_counts(api: Api) -> None:
    folder = api.service.home.path / "config" / "instances"
    (folder / "default.yaml").write_text(
        "title: Ours\nrunning: 2\nmax_priority: 10\n"
        "types:\n  toy:\n    running: 1\n  import_timeseries:\n    processing:\n"
        "      repository: https://user:secret@example.org/ours.git\n      revision: main\n"
    )
    api.job()
    answer = said(api, "GET", "/instances", api.token("viewer", "default"))
    (found,) = answer["instances"]
    assert (found["title"], found["running"], found["max_priority"]) == ("Ours", 2, 10)
    assert found["counts"] == {"queued": 1}
    assert found["types"]["toy"]["running"] == 1
    assert (
        found["types"]["import_timeseries"]["processing"]["repository"]
        == "https://example.org/ours.git"
    )


def test_only_admins_are_told_of_a_broken_file(api: Api) -> None:
    folder = api.service.home.path / "config" / "instances"
    (folder / "broken.yaml").write_text("running: many\n")
    assert "broken.yaml" in said(api, "GET", "/instances")["problems"][0]
    assert said(api, "GET", "/instances", token="operator")["problems"] == []


def test_a_worker_that_was_not_heard_of_is_not_alive(api: Api) -> None:
    with api.service.db.write() as session:
        lost = pools.register(session, pool="default", slots=4, cores=1, mem_mb=1)
        session.flush()
        row = session.get(Worker, lost.id)
        assert row is not None
        row.heartbeat = "2020-01-01T00:00:00.000Z"
    workers = said(api, "GET", "/workers", token="operator")["workers"]
    assert {worker["id"] == lost.id: worker["alive"] for worker in workers} == {
        True: False,
        False: True,
    }
    assert all(worker["pid"] == os.getpid() for worker in workers)
    assert said(api, "GET", "/pools")["pools"][0]["slots"] == 1
