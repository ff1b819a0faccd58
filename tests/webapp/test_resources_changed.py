"""What a rerun asks for, and what profiles and limits say by then: it is kept, held and told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from runner import record
from runner.options import RunOptions
from tests.composite import pair_source
from tests.webapp.attempts import begin
from tests.webapp.families import PARTS
from tests.webapp.test_resources_asked import shown
from tests.webapp.test_resources_planned import FREE, SLURM, has_slot, needs, profile, rerun
from tests.webapp.worlds import add_worker
from tests.webapp.writing import Api, at
from webapp import admission, jobs
from webapp.db import Database
from webapp.jobs import fold
from webapp.reindex import reindex

MORE: dict[str, Any] = {"stages": {"second": {"mem_mb": 3000}}}


@pytest.fixture(name="api")
def free_api(api: Api) -> Api:
    """An API whose profile sets no limits."""
    profile(api, "plain", FREE)
    return api


@pytest.fixture
def family(api: Api, tmp_path: Path) -> Api:
    """The same with the composite type."""
    api.service.home.releases.publish(str(pair_source(tmp_path)), "pair-1")
    return api


def ended(api: Api, **document: Any) -> str:
    job_id = api.job(**document)
    api.end(job_id)
    return job_id


def claim(api: Api, job_id: str) -> jobs.Claim | None:
    return jobs.claim(api.service, job_id, api.row(job_id).fence, "worker")


def taken(api: Api, job_id: str) -> jobs.Claim:
    found = claim(api, job_id)
    assert found is not None
    return found


def stage(api: Api, job_id: str, name: str) -> int:
    """The memory that a stage gets, as the API says."""
    found: int = shown(api, job_id)["resources"]["stages"][name]["mem_mb"]
    return found


def test_what_a_rerun_needs_survives_a_death_before_the_rows_know(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = ended(api)

    def die(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fold, "sync", die)
        with pytest.raises(KeyboardInterrupt):
            jobs.rerun(api.service, job_id, "jane", asked=MORE)
    assert (api.row(job_id).status, needs(api, job_id)) == ("succeeded", ("default", 1, 100))
    assert jobs.settle_notes(api.service) == 1
    assert (api.row(job_id).status, needs(api, job_id)) == ("queued", ("default", 1, 3000))
    add_worker(api.service)
    admission.admit(api.service)
    assert taken(api, job_id).limits["caps"] == {"cores": 1, "mem_mb": 3000}


def test_what_a_rerun_needs_survives_the_loss_of_the_database(family: Api) -> None:
    asked = {"stages": {"left_second": {"mem_mb": 2000}}}
    job_id = ended(family, type="pair", resources=asked)
    assert rerun(family, f"{job_id}.right", resources=MORE).status_code == 202
    family_of = (job_id, *(f"{job_id}.{name}" for name in PARTS))
    with family.service.db.write() as session:
        for one in family_of:
            session.delete(jobs.get(session, one))
    assert reindex(family.service).added == 1
    for one in family_of:
        assert needs(family, one) == ("default", 2, 3000), one
    assert family.row(job_id).next_options["resources"] == MORE


@pytest.mark.parametrize("pool", ["default", "slurm"])
def test_a_job_that_waits_while_its_profile_leaves_the_cluster_waits_for_room_here(
    api: Api, pool: str
) -> None:
    profile(api, "plain", f"{SLURM}pool: {pool}\n")
    add_worker(api.service, "slurm")
    add_worker(api.service, "default", cores=2)
    job_id = api.job(resources={"cores": 4})
    assert (has_slot(api, job_id), needs(api, job_id)) == (True, (pool, 0, 250))
    profile(api, "plain", FREE)
    assert claim(api, job_id) is None
    assert (has_slot(api, job_id), needs(api, job_id)) == (False, ("default", 4, 100))
    *_, last = api.service.directory(api.row(job_id)).events.read()
    assert last["needs"] == {"pool": "default", "cores": 4, "mem_mb": 100}
    assert "4 cores and 100 MB of memory of pool default" in last["message"]
    with api.service.db.read() as session:
        found = admission.waiting(session, api.service, jobs.get(session, job_id))
    assert found is not None
    assert found.code == "too_large"
    add_worker(api.service, cores=4)
    assert admission.admit(api.service) == 1
    assert taken(api, job_id).limits["cores"] == 4


def test_a_job_that_waits_while_its_profile_goes_to_the_cluster_is_bounded_by_no_host(
    api: Api,
) -> None:
    add_worker(api.service)
    job_id = api.job(resources={"mem_mb": 500})
    profile(api, "plain", f"{SLURM}pool: default\n")
    assert claim(api, job_id) is None
    assert needs(api, job_id) == ("default", 0, 250)
    admission.admit(api.service)
    assert taken(api, job_id).limits["caps"] == {}


def test_a_job_that_waits_while_its_profile_gets_another_pool_waits_there(api: Api) -> None:
    add_worker(api.service)
    job_id = api.job()
    profile(api, "plain", f"{FREE}pool: other\n")
    assert claim(api, job_id) is None
    assert needs(api, job_id) == ("other", 1, 100)


def test_a_rerun_that_an_older_version_has_queued_gets_what_it_asked_for(api: Api) -> None:
    add_worker(api.service)
    job_id = ended(api)
    told = {"status": "queued", "by": "jane", "options": {"resources": MORE}}
    api.service.directory(api.row(job_id)).events.append("status", source="api", **told)
    jobs.take_over(api.service, job_id)
    admission.admit(api.service)
    assert claim(api, job_id) is None
    admission.admit(api.service)
    assert taken(api, job_id).limits["caps"] == {"cores": 1, "mem_mb": 3000}


def test_a_limit_that_is_raised_holds_for_a_job_that_waits(family: Api) -> None:
    add_worker(family.service, mem_mb=4000)
    family.instance("default", "profile: plain\nlimits: {mem_mb: 1000}\n")
    job_id = ended(family, type="pair")
    family.instance("default", "profile: plain\nlimits: {mem_mb: 60}\n")
    assert rerun(family, job_id).status_code == 202
    assert needs(family, f"{job_id}.left") == ("default", 2, 60)
    family.instance("default", "profile: plain\n")
    assert stage(family, job_id, "left_first") == 100
    assert claim(family, job_id) is None
    for one in (job_id, f"{job_id}.left"):
        assert needs(family, one) == ("default", 2, 100)
    admission.admit(family.service)
    assert taken(family, job_id).limits["caps"] == {"cores": 2, "mem_mb": 100}


def test_a_job_whose_profile_is_gone_is_taken_and_fails_by_that(api: Api) -> None:
    add_worker(api.service)
    job_id = api.job()
    (api.home / "config" / "profiles" / "plain.yaml").unlink()
    assert taken(api, job_id).limits["cores"] == 1


def test_what_a_rerun_gets_is_shown(family: Api) -> None:
    job_id = ended(family, type="pair", resources={"mem_mb": 50})
    assert rerun(family, f"{job_id}.left", resources=MORE).status_code == 202
    document = shown(family, job_id)
    assert document["request"]["resources"] == {"mem_mb": 50}
    assert document["resources"]["attempt"]["mem_mb"] == 3000
    assert stage(family, job_id, "left_second") == 3000
    assert stage(family, job_id, "right_second") == 50
    family.end(job_id)
    assert stage(family, job_id, "left_second") == 50


def test_a_job_that_runs_is_shown_with_no_more_than_it_was_given_room_for(api: Api) -> None:
    add_worker(api.service)
    api.instance("default", "profile: plain\nlimits: {mem_mb: 60, runtime: 2}\n")
    job_id = api.job()
    taken(api, job_id)
    api.instance("default", "profile: plain\nlimits: {runtime: 1}\n")
    granted = shown(api, job_id)["resources"]
    assert (granted["attempt"]["mem_mb"], granted["stages"]["first"]["mem_mb"]) == (60, 60)
    assert granted["attempt"]["runtime"] == 1


def test_too_much_for_a_sub_job_is_named_as_it_was_written(family: Api) -> None:
    job_id = ended(family, type="pair")
    add_worker(family.service, mem_mb=2000)
    answer = rerun(family, f"{job_id}.left", resources=MORE)
    assert (answer.status_code, at(answer)) == (422, ["/resources/stages/second/mem_mb"])


def test_a_rerun_needs_one_connection_at_a_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, writes, read = ended(api), [0], Database.read
    write = Database.write

    @contextmanager
    def writing(self: Database) -> Iterator[Session]:
        with write(self) as session:
            writes[0] += 1
            yield session
            writes[0] -= 1

    @contextmanager
    def reading(self: Database) -> Iterator[Session]:
        assert not writes[0], "a second connection, while others wait for what this one holds"
        with read(self) as session:
            yield session

    monkeypatch.setattr(Database, "write", writing)
    monkeypatch.setattr(Database, "read", reading)
    jobs.rerun(api.service, job_id, "jane", asked=MORE)
    assert needs(api, job_id) == ("default", 1, 3000)


def test_what_stages_used_is_said_once(api: Api) -> None:
    add_worker(api.service)
    job_id = api.job()
    directory = taken(api, job_id).directory
    begin(directory)
    *_, last = record.records(directory)
    of_stage = {"runs": 1, "seconds": 2.5}
    used = {"cpu_seconds": 1.5, "largest_process_mb": 70.0, "stages": {"first": of_stage}}
    record.close(directory, last | {"outcome": "succeeded", "used": used, "error": None})
    record.begin(directory, 2, [], RunOptions())
    first, second = shown(api, job_id)["attempts"]
    assert first["used"] == {"cpu_seconds": 1.5, "largest_process_mb": 70.0}
    assert second["used"] is None
