from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from runner.errors import InvalidInput, NotFound, UnsafePath
from runner.home import Home
from runner.jobdir import JobDirectory, JobRequest
from runner.jobtype import JobType
from runner.prepared import Prepared

from .conftest import TOY


@pytest.fixture
def request_for(tmp_path: Path) -> Callable[[Path], JobRequest]:
    def make(path: Path) -> JobRequest:
        job_type = JobType.load(TOY / "workflow" / "toy")
        release = {"label": "1", "digest": "sha256:0"}
        return JobRequest(job_type, release, {"text": path}, job_type.complete_params({}), {})

    return make


def test_the_input_is_copied_with_its_checksum_and_name(toy: Callable[..., Prepared]) -> None:
    job = toy().job
    spec = job.config["inputs"]["text"]
    assert spec["name"] == "some words.txt"
    assert (job.path / spec["path"]).read_text() == "one two\n"
    assert spec["bytes"] == 8
    job.verify_inputs()


def test_an_input_that_was_changed_afterwards_is_refused(toy: Callable[..., Prepared]) -> None:
    job = toy().job
    (job.path / job.config["inputs"]["text"]["path"]).write_text("other")
    with pytest.raises(InvalidInput, match="has changed"):
        job.verify_inputs()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.doc", "x", "none of the accepted kinds"),
        ("a.txt", "", "is empty"),
        ("a.txt", "x" * 1001, "at most 1,000"),
    ],
)
def test_a_wrong_file_is_refused_and_leaves_nothing(
    tmp_path: Path, request_for: Callable[[Path], JobRequest], name: str, content: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InvalidInput, match=said):
        JobDirectory.create(tmp_path / "jobs", request_for(path))
    assert not (tmp_path / "jobs").exists()


def test_a_job_whose_input_cannot_be_copied_leaves_nothing(
    tmp_path: Path, request_for: Callable[[Path], JobRequest]
) -> None:
    path = tmp_path / "....txt"
    path.write_text("x")
    with pytest.raises(UnsafePath):
        JobDirectory.create(tmp_path / "jobs", request_for(path))
    assert [p for p in (tmp_path / "jobs").rglob("*") if p.is_file() or "draft" in p.name] == []


def test_jobs_made_at_once_have_ids_of_their_own_in_order_of_time(
    tmp_path: Path, request_for: Callable[[Path], JobRequest]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x")
    with ThreadPoolExecutor(8) as pool:
        jobs = list(
            pool.map(lambda _: JobDirectory.create(tmp_path / "jobs", request_for(path)), range(40))
        )
    assert len({job.id for job in jobs}) == 40
    later = JobDirectory.create(tmp_path / "jobs", request_for(path))
    assert later.id > max(job.id for job in jobs)


def test_names_with_braces_quotes_and_unicode_do_no_harm(
    tmp_path: Path, request_for: Callable[[Path], JobRequest]
) -> None:
    path = tmp_path / "a{b} 'c' \"d\" $(touch x) ü.txt"
    path.write_text("x")
    job = JobDirectory.create(tmp_path / "jobs", request_for(path))
    assert job.config["inputs"]["text"]["name"] == path.name
    assert not set(job.config["inputs"]["text"]["path"]) & set("{}'\"$ ")


def test_an_opened_directory_says_what_was_asked(toy: Callable[..., Prepared]) -> None:
    prepared = toy(word="hello")
    opened = JobDirectory.open(prepared.job.path)
    assert (opened.id, opened.type) == (prepared.job.id, "toy")
    assert opened.config["params"] == {"word": "hello", "command": "true"}
    assert yaml.safe_load((opened.path / "job.yaml").read_text())["release"]["label"] == "toy-1"


@pytest.mark.parametrize("text", [None, "", "[", "- 1", "type: toy"])
def test_what_is_no_job_directory_is_said_to_be_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "job.yaml").write_text(text)
    with pytest.raises(NotFound, match="no job directory"):
        JobDirectory.open(tmp_path)


def test_artifacts_are_whole_files_below_results_and_no_links(toy: Callable[..., Prepared]) -> None:
    job = toy().job
    (job.path / "results" / "a.json").write_text(json.dumps(1))
    (job.path / "results" / ".hidden").write_text("x")
    (job.path / "results" / "link").symlink_to("/etc/passwd")
    assert [(a.path, a.bytes) for a in job.artifacts()] == [("results/a.json", 1)]


def test_a_job_is_found_by_its_id(home: Home, toy: Callable[..., Prepared]) -> None:
    job = toy().job
    assert home.job(job.id).path == job.path
    with pytest.raises(NotFound):
        home.job("0000000000")
