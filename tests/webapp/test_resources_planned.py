"""What pools have, what jobs need of them, and that nothing starts which does not fit."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from runner import launch
from tests.webapp.attempts import begin
from tests.webapp.worlds import add_worker
from tests.webapp.writing import PROFILE, Api, at
from webapp import admission, jobs, pools
from webapp.reindex import reindex

FREE = "platform: {embedded: none.db}\nenvironments: none\n"
SLURM = f"{FREE}executor: slurm\n"


@pytest.fixture(name="api")
def free_api(api: Api) -> Api:
    """An API whose profile sets no limits."""
    profile(api, "plain", FREE)
    return api


def profile(api: Api, name: str, text: str) -> None:
    (api.home / "config" / "profiles" / f"{name}.yaml").write_text(text)


def needs(api: Api, job_id: str) -> tuple[str, int, int]:
    row = api.row(job_id)
    return row.pool, row.cores, row.mem_mb


def reason(api: Api, job_id: str) -> tuple[str, str]:
    with api.service.db.read() as session:
        found = admission.waiting(session, api.service, jobs.get(session, job_id))
    assert found is not None
    return found.code, found.message


def has_slot(api: Api, job_id: str) -> bool:
    return api.row(job_id).admitted is not None


def refused(api: Api, **resources: Any) -> dict[str, str]:
    answer = api.submit(api.token(), {"type": "toy", "resources": resources})
    assert answer.status_code == 422, answer.text
    assert (api.count(), api.left_behind()) == (0, [])
    assert at(answer)
    return {found["pointer"]: found["message"] for found in answer.json["problems"]}  # type: ignore[index]


def test_a_job_needs_the_most_that_it_or_one_of_its_stages_takes(api: Api) -> None:
    profile(api, "plain", PROFILE)
    assert needs(api, api.job()) == ("default", 2, 100)  # the profile's cores
    profile(api, "plain", FREE)
    assert needs(api, api.job()) == ("default", 1, 100)
    asked = {"mem_mb": 50, "stages": {"second": {"mem_mb": 700}, "third": {"cores": 3}}}
    assert needs(api, api.job(resources=asked)) == ("default", 3, 700)
    stages = "types: {toy: {stages: {first: {cores: 5, mem_mb: 900}}}}\n"
    profile(api, "plain", f"{FREE}{stages}")
    assert needs(api, api.job()) == ("default", 5, 900)


def test_a_job_of_a_cluster_needs_a_slot_and_little_memory(api: Api) -> None:
    profile(api, "cluster", SLURM)
    profile(api, "elsewhere", f"{SLURM}pool: login\n")
    asked = {"cores": 64, "mem_mb": 900_000}
    operator = api.token("operator")
    job_id = api.job(operator, profile="cluster", resources=asked)
    assert needs(api, job_id) == ("slurm", 0, 250)
    assert needs(api, api.job(operator, profile="elsewhere"))[0] == "login"
    add_worker(api.service, "slurm", slots=64, cores=1, mem_mb=16_000)
    admission.admit(api.service)
    assert has_slot(api, job_id)
    for _ in range(3):
        assert has_slot(api, api.job(operator, profile="cluster", resources=asked))


def test_nothing_starts_whose_largest_stage_does_not_fit_and_it_says_so(api: Api) -> None:
    add_worker(api.service, slots=4, cores=4, mem_mb=1000)
    asked = {"cores": 1, "stages": {"third": {"mem_mb": 600}}}
    first, second = api.job(resources=asked), api.job(resources=asked)
    assert (has_slot(api, first), has_slot(api, second)) == (True, False)
    code, message = reason(api, second)
    assert code == "no_free_resources"
    assert "600 MB" in message
    assert "400 MB are free" in message
    api.end(first)
    admission.admit(api.service)
    assert has_slot(api, second)


def test_what_no_worker_can_hold_is_refused_with_the_figures_of_the_pool(api: Api) -> None:
    add_worker(api.service, slots=4, cores=4, mem_mb=1000)
    found = refused(api, cores=5, stages={"second": {"mem_mb": 1001}, "first": {"mem_mb": 10}})
    assert sorted(found) == ["/resources/cores", "/resources/stages/second/mem_mb"]
    text = found["/resources/stages/second/mem_mb"]
    for figure in ("1001 MB", "pool default", "4 cores and 1000 MB"):
        assert figure in text
    answer = api.submit(api.token(), {"type": "toy", "resources": {"cores": 5}}, query="?plan=true")
    assert (answer.status_code, at(answer)) == (422, ["/resources/cores"])


def test_one_job_gets_no_more_than_the_largest_host_has(api: Api) -> None:
    for cores in (2, 4):
        add_worker(api.service, slots=4, cores=cores, mem_mb=1000 * cores)
    assert list(refused(api, cores=5)) == ["/resources/cores"]
    assert has_slot(api, api.job(resources={"cores": 4, "mem_mb": 4000}))


def test_while_nothing_is_known_of_a_pool_everything_is_accepted(api: Api) -> None:
    job_id = api.job(resources={"cores": 500, "mem_mb": 10**6})
    assert reason(api, job_id)[0] == "no_worker"
    add_worker(api.service, slots=4, cores=4, mem_mb=1000)
    code, message = reason(api, job_id)
    assert code == "too_large"
    assert "4 cores and 1000 MB" in message
    assert not has_slot(api, job_id)
    assert has_slot(api, api.job())  # it holds up nobody


def test_a_capacity_that_was_set_counts_without_a_worker(api: Api) -> None:
    with api.service.db.write() as session:
        pools.ensure(session, "default")
        pools.set_capacity(session, "default", 4, mem_mb=1000)
    assert "has 1000 MB of memory." in refused(api, mem_mb=1001)["/resources/mem_mb"]
    assert api.job(resources={"cores": 500})


def test_more_than_the_hosts_offer_holds_if_somebody_sets_it(api: Api) -> None:
    add_worker(api.service, slots=4, cores=4, mem_mb=1000)
    with api.service.db.write() as session:
        pools.set_capacity(session, "default", 4, cores=16)
    assert has_slot(api, api.job(resources={"cores": 9}))


def test_a_rerun_needs_what_holds_then(api: Api) -> None:
    asked = {"stages": {"second": {"mem_mb": 3000}}}
    job_id = api.job(resources=asked)
    assert needs(api, job_id) == ("default", 1, 3000)
    api.end(job_id)
    api.instance("default", "profile: plain\nlimits: {mem_mb: 2000}\n")
    jobs.rerun(api.service, job_id, "jane")
    assert needs(api, job_id) == ("default", 1, 2000)
    api.end(job_id)
    profile(api, "plain", f"{PROFILE}pool: other\n")
    api.instance("default", "profile: plain\n")
    jobs.rerun(api.service, job_id, "jane")
    assert needs(api, job_id) == ("other", 2, 3000)


def rerun(api: Api, job_id: str, **wanted: Any) -> Any:
    return api.client.post(f"/api/v1/jobs/{job_id}/rerun", headers=api.token(), json=wanted)


def test_a_rerun_may_ask_for_more_than_the_job_did(api: Api) -> None:
    job_id = api.job(resources={"mem_mb": 100})
    api.end(job_id)
    more = {"stages": {"second": {"mem_mb": 3000}}}
    assert rerun(api, job_id, resources=more).status_code == 202
    assert needs(api, job_id) == ("default", 1, 3000)
    assert api.row(job_id).next_options["resources"] == more
    prepared = launch.reopen(api.service.home, api.service.directory(api.row(job_id)))
    options = prepared.options(**api.row(job_id).next_options)
    assert prepared.execution(options).plan.stages["second"]["mem_mb"] == 3000


def test_a_rerun_that_asks_for_too_much_changes_nothing(api: Api) -> None:
    job_id = api.job()
    api.end(job_id)
    before = needs(api, job_id)
    api.instance("default", "profile: plain\nlimits: {mem_mb: 2000}\n")
    answer = rerun(api, job_id, resources={"mem_mb": 2001, "stages": {"nosuch": {"cores": 1}}})
    assert answer.status_code == 422
    pointers = sorted(found["pointer"] for found in answer.json["problems"])
    assert pointers == ["/resources/mem_mb", "/resources/stages/nosuch"]
    assert needs(api, job_id) == before
    assert api.row(job_id).status != "queued"


def test_a_lost_database_comes_back_with_what_jobs_need(api: Api) -> None:
    asked = {"stages": {"second": {"mem_mb": 3000}}}
    job_id = api.job(resources=asked)
    api.instance("default", "profile: plain\nlimits: {mem_mb: 2000}\n")
    with api.service.db.write() as session:
        session.delete(jobs.get(session, job_id))
    reindex(api.service)
    assert needs(api, job_id) == ("default", 1, 2000)


def test_a_wait_in_the_cluster_its_node_and_what_was_used_are_shown(api: Api) -> None:
    job_id = api.job()
    headers = api.token()

    def first() -> dict[str, Any]:
        document = api.client.get(f"/api/v1/jobs/{job_id}", headers=headers).json
        found: dict[str, Any] = document["stages"][0]  # type: ignore[index]
        return found

    directory = api.service.directory(api.row(job_id))
    begin(directory)
    why = "SLURM job 12 is pending: Resources"
    told: dict[str, Any] = {"source": "slurm", "attempt": 1, "stage": "first", "slurm_job": 12}
    directory.events.append("stage", **told, status="waiting", reason=why)
    assert (first()["status"], first()["reason"], first()["slurm_job"]) == ("waiting", why, 12)
    directory.events.append("stage", **told, status="running", node="n1")
    assert (first()["status"], first()["node"]) == ("running", "n1")
    used = {"runs": 1, "seconds": 2.5, "longest_seconds": 2.5, "cpu_seconds": 1.5, "peak_mb": 70.0,
            "read_mb": 1.0, "written_mb": 2.0}  # fmt: skip
    done = {**told, "source": "snakemake", "status": "succeeded", "used": used}
    directory.events.append("stage", **done)
    assert (first()["status"], first()["used"]) == ("succeeded", used)
    document = api.client.get(f"/api/v1/jobs/{job_id}", headers=headers).json
    (attempt,) = document["attempts"]  # type: ignore[index]
    assert attempt["stages"] == {"first": used}


def test_instances_types_and_pools_say_what_jobs_may_take(api: Api) -> None:
    add_worker(api.service, slots=4, cores=4, mem_mb=1000)
    text = "profile: plain\nlimits: {cores: 4}\ntypes: {toy: {limits: {mem_mb: 900}}}\n"
    api.instance("default", text)
    with api.service.db.write() as session:
        pools.set_capacity(session, "default", None, cores=3)
    headers = api.token("admin")

    def said(path: str) -> Any:
        return api.client.get(f"/api/v1{path}", headers=headers).json

    (instance,) = (i for i in said("/instances")["instances"] if i["name"] == "default")
    assert instance["limits"] == {"cores": 4}
    assert instance["types"]["toy"]["limits"] == {"mem_mb": 900}
    (pool,) = said("/pools")["pools"]
    assert (pool["cores_set"], pool["mem_mb_set"]) == (3, None)
    assert (pool["one_cores"], pool["one_mem_mb"]) == (3, 1000)
    assert {stage["name"] for stage in said("/types/toy")["stages"]} == {"first", "second", "third"}
    page = api.client.get("/metrics", headers=headers).text
    for line in (
        'jobrunner_pool_cores{pool="default"} 3.0',
        'jobrunner_pool_cores_used{pool="default"} 0.0',
        'jobrunner_pool_memory_bytes{pool="default"} 1.048576e+09',
        'jobrunner_pool_memory_used_bytes{pool="default"} 0.0',
    ):
        assert line in page.splitlines()


@pytest.mark.parametrize("text", ["limits: {cores: 0}", "limits: {memory: 5}",
                                  "types: {toy: {limits: {gpu: -1}}}", "limits: 5"])  # fmt: skip
def test_wrong_limits_of_an_instance_are_told(api: Api, text: str) -> None:
    api.instance("wrong", f"{text}\n")
    (problem,) = api.service.instances.problems
    assert "wrong.yaml" in problem
    assert "limits" in problem


def test_capacity_is_set_and_shown_from_the_command_line(api: Api) -> None:
    add_worker(api.service, slots=4, cores=4, mem_mb=1000)
    job_id = api.job()

    def capacity(*words: str, code: int = 0) -> str:
        settings = {"JOBRUNNER_HOME": str(api.home),
                    "JOBRUNNER_DATABASE_URL": api.service.settings.database_url}  # fmt: skip
        command = [sys.executable, "-m", "webapp.cli.capacity", *words]
        done = subprocess.run(
            command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    shown = capacity("default")
    assert "4 (what its workers offer) slots, on 1 living workers" in shown
    assert "Used: 1 slots, 1 cores, 100 MB." in shown
    assert "2 slots" in capacity("default", "2", "--mem", "500")
    with api.service.db.read() as session:
        room = pools.room(session, api.service.settings)["default"]
    assert (room.slots, room.cores, room.mem_mb) == (2, 4, 500)
    assert "cores: 3; memory: 500 MB" in capacity("default", "--cores", "3")
    assert "memory: 1000 MB (what" in capacity("default", "auto", "--mem", "auto")
    assert "neither a number from 1" in capacity("default", "--cores", "0", code=2)
    assert has_slot(api, job_id)
