"""A pool of several hosts: an attempt runs on one of them, and none is given more than it has."""

from __future__ import annotations

import pytest

from tests.webapp.test_resources_planned import FREE, has_slot, profile, reason, refused
from tests.webapp.worlds import add_worker
from tests.webapp.writing import Api
from webapp import admission, jobs, pools
from webapp.models import Worker

LARGE = {"cores": 4, "mem_mb": 8000}


@pytest.fixture(name="api")
def free_api(api: Api) -> Api:
    """An API whose profile sets no limits."""
    profile(api, "plain", FREE)
    return api


def host(api: Api, name: str, cores: int = 8, mem_mb: int = 16_000, slots: int = 8) -> str:
    """Have a living worker on a host of that name."""
    given = add_worker(api.service, slots=slots, cores=cores, mem_mb=mem_mb)
    worker_id = f"{name}-{given.split('-', 1)[-1].rsplit('-', 2)[-2]}-{given[-8:]}"
    with api.service.db.write() as session:
        worker = session.get_one(Worker, given)
        worker.id, worker.host = worker_id, name
    return worker_id


def claim(api: Api, job_id: str, worker: str) -> bool:
    """Let a worker take the wake-up of a job; tell whether it has the job then."""
    fence = api.row(job_id).fence
    return jobs.claim(api.service, job_id, fence, worker) is not None


def test_a_host_takes_no_more_than_it_has_and_leaves_the_rest_to_the_other(api: Api) -> None:
    a, b = host(api, "node-a"), host(api, "node-b")
    ids = [api.job(resources=LARGE) for _ in range(4)]
    assert all(has_slot(api, job_id) for job_id in ids)
    assert [claim(api, job_id, a) for job_id in ids[:3]] == [True, True, False]
    assert not has_slot(api, ids[2])
    assert admission.admit(api.service) == 1
    assert [claim(api, job_id, b) for job_id in ids[2:]] == [True, True]


def test_the_wake_up_of_a_slot_that_was_given_back_is_void(api: Api) -> None:
    a, b = host(api, "node-a", cores=4), host(api, "node-b")
    first, second = api.job(resources=LARGE), api.job(resources=LARGE)
    assert claim(api, first, a)
    old = api.row(second).fence
    assert not claim(api, second, a)
    admission.admit(api.service)
    assert jobs.claim(api.service, second, old, b) is None
    assert claim(api, second, b)


def test_what_is_free_on_two_hosts_together_starts_nothing_and_that_is_said(api: Api) -> None:
    for worker in (host(api, "node-a"), host(api, "node-b")):
        job_id = api.job(resources=LARGE)
        assert claim(api, job_id, worker)
    waits = api.job(resources={"cores": 5, "mem_mb": 100})
    assert not has_slot(api, waits)
    code, message = reason(api, waits)
    assert code == "no_free_resources"
    assert "8 cores and 16000 MB are free, but on no host enough of it" in message


def test_cores_of_one_host_and_memory_of_another_make_none(api: Api) -> None:
    host(api, "node-a", cores=32, mem_mb=8000)
    host(api, "node-b", cores=4, mem_mb=64_000)
    host(api, "node-c", cores=2, mem_mb=2000)
    found = refused(api, cores=16, mem_mb=32_000)
    assert sorted(found) == ["/resources/cores", "/resources/mem_mb"]
    for message in found.values():
        assert "4 cores and 64000 MB of memory, or 32 cores and 8000 MB of memory" in message
    assert has_slot(api, api.job(resources={"cores": 16, "mem_mb": 8000}))


def test_what_a_leaving_worker_runs_counts_for_the_next_one_of_its_host(api: Api) -> None:
    old = host(api, "node-a")
    job_id = api.job(resources=LARGE)
    assert claim(api, job_id, old)
    with api.service.db.write() as session:
        pools.leave(session, old)
    new, other = host(api, "node-a"), host(api, "node-b", cores=2)
    more = [api.job(resources=LARGE) for _ in range(2)]
    assert [has_slot(api, job_id) for job_id in more] == [True, False]
    assert not claim(api, more[0], other)
    admission.admit(api.service)
    assert claim(api, more[0], new)


def test_on_a_pool_of_one_host_what_was_admitted_is_taken(api: Api) -> None:
    only = host(api, "node-a")
    job_id = api.job(resources=LARGE)
    with api.service.db.write() as session:
        pools.set_capacity(session, "default", 1, mem_mb=10)
    assert claim(api, job_id, only)
