"""A job comes home from a server and goes on there, with no stage run again that is done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ENVIRONMENTS, ROOT
from tests.webapp.remote import WAITS, Remote, remote_of
from tests.webapp.running import Running, open_running, service_up, until
from tests.webapp.worlds import PROFILE, make_home

NEEDS_GATE = "test -e {} || {{ echo no gate; exit 1; }}"
STAGES = ("first", "second", "third")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with service_up(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def remote(running: Running, tmp_path: Path) -> Remote:
    remote = remote_of(running, tmp_path)
    profiles = tmp_path / "home" / "config" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "plain.yaml").write_text(PROFILE)
    return remote


def _ended(remote: Remote, running: Running, **params: str) -> str:
    job_id = remote.submit(**params)
    running.until_ended(job_id)
    return job_id


def _ran(directory: Path, attempt: int) -> list[str]:
    """Give the stages that an attempt ran."""
    lines = (directory / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return [
        event["stage"]
        for event in events
        if event["kind"] == "stage" and event["attempt"] == attempt and event["status"] == "running"
    ]


def _snakemake(directory: Path, home: Path, type_name: str = "toy") -> str:
    """Run a bare Snakemake over a directory and give what it says."""
    (release,) = (home / "releases").glob("*/source")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--directory", str(directory)]
    command += ["--snakefile", str(release / "workflow" / type_name / "Snakefile")]
    command += ["--configfile", str(directory / "job.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def _rerun(remote: Remote, directory: Path, code: int = 0) -> Any:
    return remote.json("rerun", str(directory), code=code)


def test_a_finished_job_comes_home_whole_and_nothing_runs_again(
    remote: Remote, running: Running
) -> None:
    job_id = _ended(remote, running)
    told = remote.json("pull", job_id)
    directory = Path(told["directory"])
    there = running.service.path(running.row(job_id))
    assert directory == remote.folder / "home" / "jobs" / there.relative_to(running.home / "jobs")
    assert (told["new"], told["missing"]) == (True, [])
    for name in ("job.yaml", "events.jsonl", "attempts/1.json", "logs/job.log", "work/first.txt"):
        assert (directory / name).is_file(), name
    for name in ("input/some_words.txt", "results/third.txt", "work/second.txt"):
        assert (directory / name).stat().st_mtime_ns == (there / name).stat().st_mtime_ns
        assert (directory / name).read_bytes() == (there / name).read_bytes()
    assert not list(directory.rglob("*.lock"))
    assert not (directory / ".snakemake" / "locks").exists()
    assert "Nothing to be done" in _snakemake(directory, remote.folder / "home")
    assert _rerun(remote, directory)["status"] == "succeeded"
    assert _ran(directory, 1) == list(STAGES)
    assert _ran(directory, 2) == []


@pytest.mark.parametrize("bare", [False, True])
def test_a_failed_job_goes_on_at_home_from_where_it_failed(
    remote: Remote, running: Running, bare: bool
) -> None:
    gate = remote.folder / "gate"
    job_id = _ended(remote, running, command=NEEDS_GATE.format(gate))
    directory = Path(remote.json("pull", job_id)["directory"])
    first = (directory / "work" / "first.txt").stat().st_mtime_ns
    if bare:
        gate.touch()
        said = _snakemake(directory, remote.folder / "home")
        assert "rule first" not in said
    else:
        assert _rerun(remote, directory, code=1)["error"]["stage"] == "second"
        gate.touch()
        assert _rerun(remote, directory)["status"] == "succeeded"
        assert _ran(directory, 3) == ["second", "third"]
    assert (directory / "work" / "first.txt").stat().st_mtime_ns == first
    assert (directory / "results" / "third.txt").read_text().strip() == "3"
    assert running.row(job_id).status == "failed"  # the service has its own copy


def test_a_job_that_has_not_ended_stays(remote: Remote, running: Running) -> None:
    job_id = remote.submit(command=WAITS.format(remote.folder / "gate"))
    running.until_running(job_id)
    refused = remote.json("pull", job_id, code=2)
    assert refused["error"]["code"] == "conflict"
    assert "is running" in refused["error"]["message"]
    assert not (remote.folder / "home" / "jobs").exists()
    (remote.folder / "gate").touch()
    running.until_ended(job_id)


def test_a_copy_is_replaced_by_a_newer_one_but_not_if_it_was_continued(
    remote: Remote, running: Running
) -> None:
    gate = remote.folder / "gate"
    job_id = _ended(remote, running, command=NEEDS_GATE.format(gate))
    directory = Path(remote.json("pull", job_id)["directory"])
    assert remote.json("pull", job_id)["new"] is False
    gate.touch()
    remote.json("rerun", job_id, "--server", remote.server)
    until(lambda: running.row(job_id).attempt == 2, "the second attempt")
    assert running.until_ended(job_id) == ["succeeded"]
    assert remote.json("pull", job_id)["new"] is True
    assert remote.json("status", str(directory))["status"] == "succeeded"
    remote.json("rerun", str(directory), "--stage", "third")
    refused = remote.run("pull", job_id)
    assert refused.returncode == 2
    assert "was continued there" in refused.stderr
    assert (directory / "attempts" / "3.json").is_file()
    assert remote.json("pull", job_id, "--force")["new"] is True
    assert not (directory / "attempts" / "3.json").exists()
    assert [path.name for path in directory.parent.iterdir()] == [job_id]  # nothing is left over


def test_what_a_bare_snakemake_did_here_is_not_lost(remote: Remote, running: Running) -> None:
    gate = remote.folder / "gate"
    job_id = _ended(remote, running, command=NEEDS_GATE.format(gate))
    directory = Path(remote.json("pull", job_id)["directory"])
    gate.touch()
    _snakemake(directory, remote.folder / "home")
    assert "was continued there" in remote.run("pull", job_id).stderr
    assert (directory / "results" / "third.txt").is_file()


def test_nothing_else_is_ever_replaced(remote: Remote, running: Running) -> None:
    job_id = _ended(remote, running)
    other = remote.folder / "there" / job_id
    other.mkdir(parents=True)
    (other / "precious").touch()
    for force in ([], ["--force"]):
        refused = remote.run("pull", job_id, "--to", str(other.parent), *force)
        assert (refused.returncode, "is no job directory" in refused.stderr) == (2, True)
    another = _ended(remote, running)
    pulled = Path(remote.json("pull", another, "--to", str(remote.folder))["directory"])
    other = pulled.rename(remote.folder / job_id)
    refused = remote.run("pull", job_id, "--to", str(remote.folder), "--force")
    assert "is the directory of another job" in refused.stderr
    assert [path.name for path in (remote.folder / "there" / job_id).iterdir()] == ["precious"]


def test_the_services_own_home_is_left_alone(remote: Remote, running: Running) -> None:
    job_id = _ended(remote, running)
    refused = remote.run("pull", job_id, "--home", str(running.home))
    assert "may be the service's own" in refused.stderr


def test_the_release_comes_along_under_a_free_label_and_new_jobs_do_not_use_it(
    remote: Remote, running: Running
) -> None:
    job_id = _ended(remote, running)
    own = make_home(remote.folder / "home")
    other = remote.folder / "other"
    subprocess.run(["cp", "-r", str(ROOT / "tests" / "data" / "toy"), str(other)], check=True)
    (other / "workflow" / "toy" / "Snakefile").open("a").write("\n# other\n")
    for release in (remote.folder / "home" / "releases").iterdir():
        subprocess.run(["rm", "-rf", str(release)], check=True)
    own.releases.publish(str(other), "toy-1")  # the same label, other content
    directory = Path(remote.json("pull", job_id)["directory"])
    found = own.releases.all()
    assert [(r.label[:6], r.adopted) for r in found] == [("toy-1+", True), ("toy-1", False)]
    assert own.releases.newest("toy").label == "toy-1"
    assert _rerun(remote, directory)["status"] == "succeeded"
    assert _ran(directory, 2) == []
    published = own.releases.publish(str(ROOT / "tests" / "data" / "toy"), found[0].label)
    assert not published.adopted  # by hand: from now on new jobs do


def test_what_is_missing_here_is_said(remote: Remote, running: Running) -> None:
    job_id = _ended(remote, running)
    (remote.folder / "home" / "config" / "profiles" / "plain.yaml").unlink()
    told = remote.json("pull", job_id)
    missing = {one["what"]: one["message"] for one in told["missing"]}
    assert "no profile 'plain'" in missing["profile"]
    assert "profiles/plain.yaml" in missing["profile"]
    refused = remote.run("rerun", told["directory"])
    assert (refused.returncode, "no profile 'plain'" in refused.stderr) == (2, True)


def test_an_import_with_a_processing_repository_comes_home_and_nothing_runs_again(
    tmp_path: Path, example_processing_env: Path
) -> None:
    running = open_running(tmp_path / "server")
    running.service.home.releases.publish(str(ROOT), "1.0")
    instances = running.home / "config" / "instances"
    instances.mkdir(parents=True)
    repository = ROOT / "examples" / "project-workflow"
    (instances / "default.yaml").write_text(
        f"types:\n  import_timeseries:\n    processing: {{repository: '{repository}'}}\n"
    )
    try:
        running.up(slots=1, JOBRUNNER_ENVS=str(ENVIRONMENTS))
        remote = remote_of(running, tmp_path / "person", {"JOBRUNNER_ENVS": str(ENVIRONMENTS)})
        workbook = ROOT / "examples" / "example-workbook.xlsx"
        job = remote.json(
            "submit", "import_timeseries", "--input", f"workbook={workbook}", "--follow"
        )
        told = remote.json("pull", job["id"])
    finally:
        running.stop()
    os.rename(running.home, tmp_path / "gone")  # nothing of the server is left
    assert {one["what"] for one in told["missing"]} == {"platform", "environments"}
    directory = Path(told["directory"])
    assert "server" not in (directory / "job.yaml").read_text()
    planned = remote.json("plan", job["id"])
    assert {stage["reason"] for stage in planned} == {"up to date"}
    assert _rerun(remote, directory)["status"] == "succeeded"
    assert _ran(directory, 2) == []
    assert remote.json("rerun", job["id"], "--stage", "process")["status"] == "succeeded"
    assert _ran(directory, 3) == ["process", "verify", "import", "report"]
    assert (remote.folder / "home" / "platforms" / "local.db").is_file()
