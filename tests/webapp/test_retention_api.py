"""Answers say what retention has removed, when and why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runner.retention import KINDS
from webapp import jobs
from webapp.models import Artifact

from .retained import FILES
from .writing import Api


@pytest.fixture
def ended(api: Api) -> Callable[..., str]:
    """Give an ended job of the API of which some kinds were removed."""

    def make(*kinds: str) -> str:
        job_id = api.job()
        root = api.service.path(api.row(job_id))
        for kind in KINDS:
            for name in FILES[kind]:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text("x")
        api.end(job_id)
        jobs.remove(api.service, job_id, lambda _: dict.fromkeys(kinds, "kept for 1h"), "age")
        return job_id

    return make


def test_a_job_says_what_was_removed(api: Api, ended: Callable[..., str]) -> None:
    job_id = ended("work", "results")
    answer = api.client.get(f"/api/v1/jobs/{job_id}", headers=api.token()).json
    listed = api.client.get("/api/v1/jobs", headers=api.token()).json["items"][0]  # type: ignore[index]
    for found in (answer, listed):
        assert found is not None
        assert found["work_removed"] == found["results_removed"] == api.row(job_id).work_removed
        assert found["logs_removed"] is None


@pytest.mark.parametrize(
    ("kind", "path"),
    [("results", "files/results/only.txt"), ("logs", "files/logs/job.log"), ("logs", "log"),
     ("logs", "log?stage=first"), ("logs", "log?follow=true")],
)  # fmt: skip
def test_a_removed_file_is_answered_with_when_and_why(
    api: Api, ended: Callable[..., str], kind: str, path: str
) -> None:
    job_id = ended(kind)
    answer = api.client.get(f"/api/v1/jobs/{job_id}/{path}", headers=api.token())
    assert answer.status_code == 410
    said = answer.json
    assert said is not None
    assert said["code"] == "files_removed"
    when = getattr(api.row(job_id), f"{kind}_removed")
    assert f"The {kind} of job {job_id} were removed on {when}." in said["detail"]
    assert "(kept for 1h)" in said["detail"]
    assert f"POST /api/v1/jobs/{job_id}/rerun" in said["detail"]


def test_what_was_not_removed_is_there_or_was_never(api: Api, ended: Callable[..., str]) -> None:
    job_id = ended("results")
    for path, status in {"files/logs/job.log": 200, "log": 200, "files/job.yaml": 200,
                         "files/input/none.txt": 404, "files/work/a.txt": 404}.items():  # fmt: skip
        answer = api.client.get(f"/api/v1/jobs/{job_id}/{path}", headers=api.token())
        assert answer.status_code == status, path


def test_removed_results_are_listed_no_more(api: Api, ended: Callable[..., str]) -> None:
    job_id = ended()
    with api.service.db.write() as session:
        session.add(Artifact(job_id=job_id, path="results/only.txt", bytes=1, sha256="0" * 64))
    jobs.remove(api.service, job_id, lambda _: {"results": "kept for 1h"}, "age")
    answer = api.client.get(f"/api/v1/jobs/{job_id}/files", headers=api.token()).json
    assert answer is not None
    assert answer["items"] == []


def test_a_type_says_how_long_files_are_kept(api: Api) -> None:
    answer = api.client.get("/api/v1/types/toy", headers=api.token()).json
    assert answer is not None
    assert answer["retention"] == {
        "work": "7d",
        "results": "forever",
        "logs": "forever",
        "failed": {"work": "30d", "results": "forever", "logs": "forever"},
    }
