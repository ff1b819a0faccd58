"""Composite jobs with real workers, and the command line that shows them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from runner.home import Home
from tests.composite import pair_source
from tests.webapp.families import PARTS
from tests.webapp.remote import WAITS, remote_of
from tests.webapp.running import Running, until
from tests.webapp.worlds import PROFILE

ALL = ("", *(f".{name}" for name in PARTS))


@pytest.fixture
def service_home(service_home: Path, tmp_path: Path) -> Path:
    """A home with the composite type, too."""
    Home(service_home).releases.publish(str(pair_source(tmp_path)), "pair-1")
    return service_home


def submit(running: Running, **params: dict[str, str]) -> str:
    words = running.home / "words.txt"
    words.write_text("one two\n")
    return running.submit("pair", inputs={"text": words}, params=params)


def statuses(running: Running, job_id: str) -> list[str]:
    found = running.statuses()
    return [found[f"{job_id}{name}"] for name in ALL]


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_a_composite_job_runs_fails_and_goes_on_with_the_part_that_is_run_again(
    running_service: Running, tmp_path: Path
) -> None:
    running, flag = running_service, tmp_path / "flag"
    job_id = submit(running, left={"command": f"test -e {flag} || {{ echo no flag; exit 3; }}"})
    assert running.until_ended(job_id) == ["failed"]
    assert statuses(running, job_id)[:3] == ["failed", "failed", "cancelled"]
    error = running.row(f"{job_id}.left").error
    assert error is not None
    assert "no flag" in error["message"]
    flag.touch()
    remote = remote_of(running, tmp_path)
    done = remote.run("rerun", f"{job_id}.left", "--server", running.url)
    assert done.returncode == 0, done.stderr
    followed = remote.run("follow", f"{job_id}.left")
    assert followed.returncode == 0, followed.stdout + followed.stderr
    assert "second: succeeded" in followed.stdout
    running.until_ended(job_id)
    assert running.row(f"{job_id}.left").status == "succeeded"
    assert running.row(f"{job_id}.right").status == "cancelled"
    whole = running.row(job_id)
    assert whole.error is not None
    assert (whole.status, whole.error["code"]) == ("failed", "incomplete")
    remote.run("rerun", job_id, "--server", running.url)
    assert remote.run("follow", job_id).returncode == 0
    assert statuses(running, job_id) == ["succeeded"] * 4
    claims = [running.row(f"{job_id}{name}").claimed_by for name in ALL]
    assert claims == [None] * 4


def test_the_command_line_shows_sub_jobs_below_their_job_and_brings_all_home(
    running_service: Running, tmp_path: Path
) -> None:
    running, remote = running_service, remote_of(running_service, tmp_path / "elsewhere")
    job_id = submit(running)
    assert running.until_ended(job_id) == ["succeeded"]
    listed = remote.run("list").stdout.splitlines()
    assert [line.split("  toy")[0].split("  pair")[0].rstrip() for line in listed[1:]] == [
        job_id, *(f"  {job_id}.{name}" for name in sorted(PARTS))
    ]  # fmt: skip
    assert job_id in (whole := remote.run("list", "--no-sub-jobs").stdout)
    assert f"{job_id}." not in whole
    items = remote.json("list", "--type", "toy")["items"]
    assert {item["parent"] for item in items} == {job_id}
    shown = remote.run("show", job_id).stdout
    assert all(f"{job_id}.{name}" in shown for name in PARTS)
    part = remote.run("show", f"{job_id}.left").stdout
    assert "part of" in part
    assert "results/third.txt" in part
    assert "jobrunner pull" not in part
    assert remote.json("show", f"{job_id}.left")["parent"] == job_id
    refused = remote.run("pull", f"{job_id}.left")
    assert refused.returncode != 0
    assert f"jobrunner pull {job_id}" in refused.stderr
    pulled = remote.json("pull", job_id)
    assert (Path(pulled["directory"]) / "sub_jobs/left/results/third.txt").is_file()
    profile = Path(remote.folder, "home", "config", "profiles", "plain.yaml")
    profile.parent.mkdir(parents=True)
    profile.write_text(PROFILE)
    assert [stage["name"] for stage in remote.json("plan", job_id) if stage["runs"]] == []
    assert remote.json("status", f"{job_id}.left")["status"] == "succeeded"


def test_a_killed_worker_costs_no_sub_job(running_service: Running, tmp_path: Path) -> None:
    running, flag = running_service, tmp_path / "go on"
    job_id = submit(running, apart={"command": WAITS.format(f"'{flag}'")})
    until(lambda: statuses(running, job_id) == ["running", "succeeded", "succeeded", "running"],
          "the other sub-jobs are done")  # fmt: skip
    running.horse(job_id).send_signal(signal.SIGKILL)
    until(lambda: running.row(job_id).interruptions == 1, "it is queued again")
    flag.touch()
    assert running.until_ended(job_id) == ["succeeded"]
    assert statuses(running, job_id) == ["succeeded"] * 4
    parts = [running.row(f"{job_id}.{name}") for name in PARTS]
    assert [(part.attempt, part.interruptions) for part in parts] == [(1, 0), (1, 0), (2, 1)]


def test_a_cancelled_job_cancels_what_runs_of_it(running_service: Running, tmp_path: Path) -> None:
    running, remote = running_service, remote_of(running_service, tmp_path)
    job_id = submit(running, apart={"command": "sleep 600"})
    until(lambda: statuses(running, job_id)[1:] == ["succeeded", "succeeded", "running"], "it runs")
    refused = remote.run("cancel", f"{job_id}.apart")
    assert refused.returncode != 0
    assert f"Cancel the job that it is a part of: {job_id}." in refused.stderr
    remote.run("cancel", job_id)
    assert running.until_ended(job_id) == ["cancelled"]
    assert statuses(running, job_id) == ["cancelled", "succeeded", "succeeded", "cancelled"]
