"""The API shows a sub-job as a job of its own type, and says what is done to the whole."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.composite import pair_source
from tests.webapp.conformity import Conformity
from tests.webapp.families import PARTS, STAGES, make_files, say, start, take
from tests.webapp.reading import SSE, get, messages, run
from tests.webapp.writing import Api
from webapp import jobs

Headers = dict[str, str]


@pytest.fixture
def family(api: Api, tmp_path: Path) -> Api:
    """The API of a service that has the composite type, too."""
    api.service.home.releases.publish(str(pair_source(tmp_path)), "pair-1")
    return api


@pytest.fixture
def jane(family: Api) -> Headers:
    return family.token("submitter")


@pytest.fixture
def ran(family: Api, jane: Headers) -> str:
    """The id of a composite job that has run, really."""
    job_id = family.job(jane, type="pair")
    assert run(family, job_id) == "succeeded"
    return job_id


def read(family: Api, path: str, headers: Headers) -> Any:
    """Give an answer that must be as the document describes it."""
    answer = get(family, path, headers)
    assert answer.status_code == 200, answer.text
    Conformity(family.app).check("GET", f"/api/v1{path}", answer)
    return answer.json


def played(family: Api, jane: Headers) -> str:
    """Give the id of a composite job that runs, its first sub-job done."""
    job_id = family.job(jane, type="pair")
    with family.service.db.write() as session:
        jobs.get(session, job_id).admitted = "2026-11-22T14:00:00.000Z"
    directory = take(family.service, job_id)
    start(family.service, directory)
    make_files(directory, ["left"])
    for stage in STAGES:
        say(family.service, directory, f"left_{stage}", "running", "succeeded")
    return job_id


def test_the_page_of_a_job_has_its_sub_jobs(family: Api, jane: Headers, ran: str) -> None:
    whole = read(family, f"/jobs/{ran}", jane)
    assert [(p["name"], p["id"], p["type"], p["title"], p["status"], p["url"])
            for p in whole["sub_jobs"]] == [
        (name, f"{ran}.{name}", "toy", title, "succeeded", f"/api/v1/jobs/{ran}.{name}")
        for name, title in zip(PARTS, ("Left", "Toy", "Apart"), strict=True)
    ]  # fmt: skip
    assert [s["sub_job"] for s in whole["stages"] if s["name"] in ("left_first", "sum")] == [
        "left", None
    ]  # fmt: skip
    assert [found["path"] for found in whole["artifacts"]] == ["results/sum.txt"]


@pytest.mark.parametrize("api_settings", ["sqlite", "postgresql"], indirect=True)
def test_the_page_of_a_sub_job_is_that_of_a_job_of_its_type(
    family: Api, jane: Headers, ran: str
) -> None:
    part = read(family, f"/jobs/{ran}.left", jane)
    assert (part["type"], part["parent"], part["status"]) == ("toy", ran, "succeeded")
    assert [(s["name"], s["status"]) for s in part["stages"]] == [(s, "succeeded") for s in STAGES]
    assert [(a["number"], a["outcome"]) for a in part["attempts"]] == [(1, "succeeded")]
    assert part["request"]["params"] == {"word": "word", "command": "true"}
    assert part["links"]["parent"] == f"/api/v1/jobs/{ran}"
    assert part["sub_jobs"] == []
    [artifact] = part["artifacts"]
    answer = family.client.get(artifact["url"], headers=jane)
    assert answer.text.strip() == "3"
    assert answer.headers["ETag"].strip('"') == artifact["sha256"]


def test_files_of_sub_jobs_are_among_those_of_the_whole(
    family: Api, jane: Headers, ran: str
) -> None:
    whole = read(family, f"/jobs/{ran}/files", jane)
    results = {found["path"]: found["url"] for found in whole["items"]}
    assert set(results) == {"results/sum.txt", *(f"sub_jobs/{n}/results/third.txt" for n in PARTS)}
    others = {found["path"] for found in whole["others"]}
    assert {"sub_jobs/left/job.yaml", "sub_jobs/left/logs/first.log", "logs/job.log"} <= others
    for path, url in results.items():
        direct = get(family, f"/jobs/{ran}/files/{path}", jane)
        assert direct.data == family.client.get(url, headers=jane).data
        assert direct.status_code == 200
    with zipfile.ZipFile(io.BytesIO(get(family, f"/jobs/{ran}/files.zip", jane).data)) as packed:
        assert {f"{ran}/{path}" for path in (*results, *others)} == set(packed.namelist())
    with zipfile.ZipFile(io.BytesIO(get(family, f"/jobs/{ran}.left/files.zip", jane).data)) as own:
        assert f"{ran}.left/results/third.txt" in own.namelist()
    for job_id, member in ((ran, "sub_jobs/left/events.jsonl"), (f"{ran}.left", "job.yaml")):
        tar = get(family, f"/jobs/{job_id}/directory.tar", jane)
        with tarfile.open(fileobj=io.BytesIO(tar.data)) as packed_tar:
            assert f"{job_id}/{member}" in packed_tar.getnames()


@pytest.mark.parametrize(
    "path",
    ["sub_jobs/.lock", "sub_jobs/left/events.jsonl", "sub_jobs/left/work/first.txt",
     "sub_jobs/left/../../job.yaml", "sub_jobs/../job.yaml", "sub_jobs/job.yaml",
     "sub_jobs/away/results/secret.txt"],
)  # fmt: skip
def test_what_is_no_file_of_a_sub_job_is_not_fetched(
    family: Api, jane: Headers, path: str, tmp_path: Path
) -> None:
    job_id = played(family, jane)
    root = family.service.path(family.row(job_id))
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "secret.txt").write_text("secret")
    (root / "sub_jobs" / "away").symlink_to(tmp_path)
    assert get(family, f"/jobs/{job_id}/files/{path}", jane).status_code == 404
    left = root / "sub_jobs" / "left"
    left.rename(root / "moved")
    left.symlink_to(tmp_path)
    answer = get(family, f"/jobs/{job_id}.left/files/results/secret.txt", jane)
    assert answer.status_code == 404


def test_logs_are_those_of_the_sub_job(family: Api, jane: Headers, ran: str) -> None:
    own = get(family, f"/jobs/{ran}.left/log", jane).text
    assert "left_first started" in own
    assert "apart_first" not in own
    folder = family.service.path(family.row(ran)) / "sub_jobs" / "left" / "logs"
    (folder / "second.log").write_text("of the second\n")
    for path in (f"/jobs/{ran}.left/log?stage=second", f"/jobs/{ran}/log?stage=left_second"):
        assert get(family, path, jane).text == "of the second\n"
    worker = family.token("worker", "hpc")
    told = family.client.post(f"/api/v1/jobs/{ran}.left/log", headers=worker, data="x",
                              content_type="text/plain")  # fmt: skip
    assert told.status_code == 409
    event = {"kind": "note", "message": "x"}
    answer = family.client.post(f"/api/v1/jobs/{ran}.left/events", headers=worker, json=event)
    assert answer.status_code == 409


def test_events_of_a_sub_job_end_when_it_has(family: Api, jane: Headers) -> None:
    job_id = played(family, jane)
    answer = get(family, f"/jobs/{job_id}.left/events", jane, **SSE)
    told = list(messages(answer))
    assert [m["data"]["stage"] for m in told if m.get("event") == "stage"][::2] == list(STAGES)
    assert told[-1]["data"] == {"status": "succeeded"}
    assert family.row(job_id).status == "running"
    listed = read(family, f"/jobs/{job_id}.left/events", jane)["items"]
    assert listed[0]["status"] == "queued"
    assert read(family, f"/jobs/{job_id}.right", jane)["waiting"]["code"] == "sub_jobs_before"


def test_the_log_of_a_sub_job_is_masked_until_the_whole_has_ended(
    family: Api, jane: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAMILY_DSN", "postgresql://joe:very-secret@127.0.0.1/none")
    profile = family.home / "config" / "profiles" / "plain.yaml"
    profile.write_text("platform: {dsn: env:FAMILY_DSN}\nenvironments: none\n")
    job_id = played(family, jane)
    log = family.service.path(family.row(f"{job_id}.left")) / "logs" / "job.log"
    log.write_text("very-secret\n")
    assert family.row(f"{job_id}.left").status == "succeeded"
    for path in ("log", "files/logs/job.log"):
        assert get(family, f"/jobs/{job_id}.left/{path}", jane).text == "***********\n"


def test_what_is_done_to_the_whole_only_is_refused_with_advice(
    family: Api, jane: Headers, ran: str
) -> None:
    part = f"/api/v1/jobs/{ran}.left"
    for answer in (
        family.client.post(f"{part}/cancel", headers=jane),
        family.client.post(f"{part}/resubmit", headers=jane, json={}),
        family.client.patch(part, headers=jane, json={"tags": ["x"]}),
        family.client.delete(part, headers=jane),
    ):
        assert answer.status_code == 409
        assert answer.json is not None
        assert answer.json["code"] == "conflict"
        assert f"the job that it is a part of: {ran}." in answer.json["detail"]


def test_a_sub_job_is_run_again_alone(family: Api, jane: Headers, ran: str) -> None:
    part = f"/api/v1/jobs/{ran}.left"
    wrong = family.client.post(f"{part}/rerun", headers=jane, json={"stage": "left_second"})
    assert wrong.status_code == 422
    asked = {"stage": "second", "only": True}
    answer = family.client.post(f"{part}/rerun", headers=jane, json=asked)
    Conformity(family.app).check("POST", f"{part}/rerun", answer)
    assert answer.status_code == 202
    assert answer.json is not None
    assert (answer.json["id"], answer.json["status"]) == (f"{ran}.left", "queued")
    again = family.client.post(f"/api/v1/jobs/{ran}.right/rerun", headers=jane, json={})
    assert again.status_code == 409


def test_rights_to_a_sub_job_are_those_to_its_job(family: Api, jane: Headers, ran: str) -> None:
    other, foreign = family.token("submitter", "joe"), family.token("viewer", instance="other")
    for name in ("", ".left"):
        assert get(family, f"/jobs/{ran}{name}", other).status_code == 200
        assert get(family, f"/jobs/{ran}{name}", foreign).status_code == 404
        refused = family.client.post(f"/api/v1/jobs/{ran}{name}/rerun", headers=other, json={})
        assert refused.status_code == 403
    assert get(family, f"/jobs/{ran}.nobody", jane).status_code == 404
    assert get(family, "/jobs?parent=" + ran, foreign).json["items"] == []  # type: ignore[index]


def test_lists_have_them_or_leave_them_out(family: Api, jane: Headers) -> None:
    job_id = family.job(jane, type="pair")
    alone = family.job(jane)
    whole = {job["id"] for job in read(family, "/jobs?sub_jobs=no", jane)["items"]}
    assert whole == {job_id, alone}
    toys = read(family, "/jobs?type=toy&status=queued", jane)
    assert {job["id"] for job in toys["items"]} == {alone, *(f"{job_id}.{n}" for n in PARTS)}
    assert toys["counts"]["queued"] == 4
    assert read(family, "/jobs?sub_jobs=false", jane)["counts"]["queued"] == 2
    lines = get(family, "/jobs?sub_jobs=no&format=ndjson", jane).text.splitlines()
    assert {json.loads(line)["id"] for line in lines} == whole
    assert get(family, "/jobs?sub_jobs=perhaps", jane).status_code == 422


def test_a_type_describes_its_sub_jobs(family: Api, jane: Headers) -> None:
    found = read(family, "/types/pair", jane)
    assert found["sub_jobs"] == [
        {"name": "left", "title": "Left", "type": "toy"},
        {"name": "right", "title": "Toy", "type": "toy"},
        {"name": "apart", "title": "Apart", "type": "toy"},
    ]
    assert set(found["params"]["properties"]) == set(PARTS)
    assert {s["name"]: s["sub_job"] for s in found["stages"]}["right_third"] == "right"
    assert read(family, "/types/toy", jane)["sub_jobs"] == []


def test_results_that_were_removed_with_those_of_the_whole_are_410(
    family: Api, jane: Headers, ran: str
) -> None:
    jobs.remove(family.service, ran, lambda _: {"results": "kept for 1h"}, "age")
    answer = get(family, f"/jobs/{ran}.left/files/results/third.txt", jane)
    assert answer.status_code == 410
    assert answer.json is not None
    assert "Of the whole job: Removed result files (kept for 1h)" in answer.json["detail"]
    assert (
        get(family, f"/jobs/{ran}/files/sub_jobs/left/results/third.txt", jane).status_code == 410
    )
    part = read(family, f"/jobs/{ran}.left", jane)
    assert part["results_removed"] is not None
    assert part["artifacts"] == []


def test_notices_about_a_sub_job_are_those_about_the_whole(family: Api, jane: Headers) -> None:
    hook = '{name: x, url: "http://127.0.0.1:9/", secret: "file:key"}'
    family.instance("default", f"profile: plain\nwebhooks: [{hook}]\n")
    job_id = family.job(jane, type="pair")
    found = read(family, f"/jobs/{job_id}/deliveries", jane)["items"]
    assert [one["event"] for one in found] == ["job.queued"]
    assert read(family, f"/jobs/{job_id}.left/deliveries", jane)["items"] == found
