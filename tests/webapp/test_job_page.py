"""``GET /jobs/{id}``."""

from __future__ import annotations

import shutil

import pytest

from tests.webapp.reading import get, run, say
from tests.webapp.writing import Api
from webapp import pools


def test_a_job_that_waits_says_what_was_asked_and_why_it_waits(api: Api) -> None:
    ahead = api.job(priority=9)
    job_id = api.job(params={"word": "x"}, tags=["a"])
    page = get(api, f"/jobs/{job_id}", api.token("viewer")).json
    assert page is not None
    assert (page["status"], page["tags"], page["title"]) == ("queued", ["a"], "Toy")
    assert page["request"]["params"] == {"word": "x", "command": "true"}
    (file,) = page["request"]["inputs"]
    assert (file["name"], file["title"], file["filename"]) == ("text", "Text", "some words.txt")
    assert file["bytes"] == 8
    assert get(api, file["url"].removeprefix("/api/v1"), api.token()).data == b"one two\n"
    assert [stage["status"] for stage in page["stages"]] == ["waiting"] * 3
    assert page["waiting"]["position"] == 2
    assert page["waiting"]["code"] == "no_worker"
    assert page["attempts"] == page["artifacts"] == []
    assert page["progress"] is None
    assert ahead != job_id


def test_a_job_that_ran_shows_stages_attempts_and_results(api: Api) -> None:
    job_id = api.job()
    assert run(api, job_id) == "succeeded"
    page = get(api, f"/jobs/{job_id}", api.token("viewer")).json
    assert page is not None
    assert page["status"] == "succeeded"
    assert [stage["title"] for stage in page["stages"]] == ["First", "Second", "Third"]
    assert all(stage["status"] == "succeeded" for stage in page["stages"])
    assert all(stage["seconds"] >= 0 and stage["attempt"] == 1 for stage in page["stages"])
    (attempt,) = page["attempts"]
    assert (attempt["number"], attempt["outcome"], attempt["error"]) == (1, "succeeded", None)
    assert attempt["host"]
    assert attempt["used"]["cpu_seconds"] > 0
    assert page["progress"]["done"] == page["progress"]["total"] > 0
    assert [artifact["path"] for artifact in page["artifacts"]] == ["results/third.txt"]
    assert page["waiting"] is None
    for name, link in page["links"].items():
        if link is not None:
            assert api.client.get(link, headers=api.token("viewer")).status_code == 200, name


def test_a_job_that_failed_says_why(api: Api) -> None:
    job_id = api.job(params={"command": "echo broken; exit 3"})
    assert run(api, job_id) == "failed"
    page = get(api, f"/jobs/{job_id}", api.token("viewer")).json
    assert page is not None
    assert page["error"]["stage"] == "second"
    assert "broken" in page["error"]["message"]
    assert page["attempts"][0]["error"] == page["error"]
    assert [stage["status"] for stage in page["stages"]] == ["succeeded", "failed", "waiting"]


def test_a_page_remains_when_directory_and_release_are_gone(api: Api) -> None:
    job_id = api.job()
    for event in (
        {"kind": "attempt", "status": "started", "attempt": 1},
        {"kind": "status", "status": "running", "attempt": 1},
        {"kind": "stage", "stage": "first", "status": "running", "reason": "new", "attempt": 1},
        {"kind": "stage", "stage": "first", "status": "succeeded", "attempt": 1},
        {"kind": "attempt", "status": "succeeded", "attempt": 1},
        {"kind": "status", "status": "succeeded", "attempt": 1},
    ):
        say(api, job_id, **event)
    shutil.rmtree(api.service.path(api.row(job_id)))
    shutil.rmtree(api.home / "releases" / "toy-1")
    page = get(api, f"/jobs/{job_id}", api.token("viewer")).json
    assert page is not None
    assert page["files_gone"]
    assert page["request"]["release_gone"]
    assert page["request"]["params"] is None
    assert [(stage["name"], stage["status"]) for stage in page["stages"]] == [
        ("first", "succeeded")
    ]
    (attempt,) = page["attempts"]
    assert (attempt["number"], attempt["outcome"]) == (1, "succeeded")
    assert attempt["started"] <= attempt["finished"]


@pytest.mark.parametrize("path", ["", "/events", "/log", "/files", "/files.zip", "/files/job.yaml"])
def test_a_job_of_another_instance_does_not_exist(api: Api, path: str) -> None:
    job_id, stranger = api.job(), api.token("operator", instance="other")
    foreign = get(api, f"/jobs/{job_id}{path}", stranger)
    missing = get(api, f"/jobs/01KAN7Q3ZD{path}", stranger)
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json["detail"] == missing.json["detail"].replace("01KAN7Q3ZD", job_id)  # type: ignore[index]


def test_why_a_job_waits_follows_what_operators_do(api: Api) -> None:
    job_id = api.job()
    with api.service.db.write() as session:
        pools.pause(session, "instance", "default", "ops")
    waiting = get(api, f"/jobs/{job_id}", api.token("viewer")).json["waiting"]  # type: ignore[index]
    assert waiting["code"] == "instance_paused"


def test_what_was_done_by_hand_in_the_directory_shows(api: Api) -> None:
    job_id = api.job()
    assert run(api, job_id) == "succeeded"
    directory = api.service.directory(api.row(job_id))
    directory.events.append("status", source="runner", status="cancelled")
    page = get(api, f"/jobs/{job_id}", api.token("viewer")).json
    assert page is not None
    assert page["status"] == "cancelled"
