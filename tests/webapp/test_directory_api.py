"""The routes that give a whole job, and its release, away."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.archive import Changed, unpack
from runner.jobdir import JobDirectory
from runner.release import digest
from tests.webapp.api_home import Api, running


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("directory")
    (folder / "service.db").write_bytes(sqlite_template.read_bytes())
    with running(folder, f"sqlite:///{folder / 'service.db'}") as api:
        yield api


def _path(api: Api, job_id: str) -> Path:
    (found,) = api.service.home.jobs.glob(f"*/*/*/{job_id}")
    return found


def test_only_a_job_that_has_ended_is_given_away(api: Api) -> None:
    answer = api.call("GET", f"/api/v1/jobs/{api.job()}/directory.tar")
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")  # type: ignore[index]


def test_all_is_in_it_but_what_only_concerns_this_machine(api: Api) -> None:
    job_id = api.ended_job()
    place = _path(api, job_id)
    hidden = [
        ".removed-1/work.txt", ".snakemake/locks/0.input.lock", ".snakemake/conda/x/python",
        "attempts/leader.lock", "attempts/.reserve", "pulled.json",
    ]  # fmt: skip
    wanted = [".snakemake/metadata/abc", "work/.hidden", "logs/job.log", "attempts/1.json"]
    for name in (*hidden, *wanted):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    (place / "work" / "outside").symlink_to("/etc/hostname")
    answer = api.call("GET", f"/api/v1/jobs/{job_id}/directory.tar")
    assert (answer.status_code, answer.mimetype) == (200, "application/x-tar")
    with tarfile.open(fileobj=io.BytesIO(answer.data)) as archive:
        names = {name.removeprefix(f"{job_id}/") for name in archive.getnames()}
    assert {*wanted, "job.yaml", "events.jsonl", "input/words.txt", "results"} <= names
    assert names.isdisjoint({*hidden, "work/outside"})


def test_a_job_that_is_changed_meanwhile_breaks_the_answer_off(api: Api) -> None:
    job_id = api.ended_job()
    place = _path(api, job_id)
    (place / "work" / "large").write_bytes(b"x" * 3_000_000)
    client, token = api.app.test_client(), api.token("admin")
    headers = {"Authorization": f"Bearer {token}"}
    answer = client.get(f"/api/v1/jobs/{job_id}/directory.tar", headers=headers, buffered=False)
    pieces = answer.iter_encoded()
    next(pieces)
    JobDirectory.open(place).events.append("note", source="test", message="news")
    with pytest.raises(Changed):
        list(pieces)


def test_the_release_of_a_job_has_its_digest(api: Api, tmp_path: Path) -> None:
    answer = api.call("GET", f"/api/v1/jobs/{api.job()}/release.tar")
    unpack(io.BytesIO(answer.data), tmp_path / "release", "release")
    (published,) = api.service.home.releases.all()
    assert digest(tmp_path / "release") == published.digest


def test_files_that_are_gone_are_said_to_be(api: Api, tmp_path: Path) -> None:
    job_id = api.ended_job()
    _path(api, job_id).rename(tmp_path / "gone")
    assert api.call("GET", f"/api/v1/jobs/{job_id}/directory.tar").status_code == 404
    releases = api.service.home.releases.folder
    releases.rename(tmp_path / "releases")
    releases.mkdir()
    assert api.call("GET", f"/api/v1/jobs/{job_id}/release.tar").status_code == 404
    releases.rmdir()
    (tmp_path / "releases").rename(releases)
