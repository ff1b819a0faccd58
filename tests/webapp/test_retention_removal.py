"""Files go whole, whatever dies in the middle, and the job can run again."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runner import leader
from runner.errors import JobBusy
from runner.retention import KINDS
from webapp import jobs
from webapp.jobs import aside
from webapp.models import Job
from webapp.service import Service

from .retained import add_status, job, kept, notes, path_of, sweep_all, told
from .running import Running, until
from .worlds import assert_row_is_directory, make_home, open_service, row

remove = importlib.import_module("webapp.jobs.remove")  # the package has a function of that name


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Service:
    return open_service(make_home(tmp_path / "home").path, database_url, disk_low=0)


def _work(_: Job) -> dict[str, str]:
    return {"work": "kept for 1h"}


def _all(_: Job) -> dict[str, str]:
    return dict.fromkeys(KINDS, "kept for 1h")


def _lock(service: Service, job_id: str) -> Path:
    lock = path_of(service, job_id) / ".snakemake" / "locks" / "0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    return lock


def test_a_running_attempt_keeps_its_files(service: Service) -> None:
    job_id = job(service)
    lock = leader.acquire(path_of(service, job_id))
    try:
        with pytest.raises(JobBusy):
            jobs.remove(service, job_id, _all, "age")
    finally:
        os.close(lock)
    assert kept(service, job_id) == set(KINDS)
    assert set(jobs.remove(service, job_id, _all, "age")) == set(KINDS)


def test_a_pinned_job_keeps_its_files_whatever_is_said(service: Service) -> None:
    job_id = job(service, 9999, pinned=True)
    assert jobs.remove(service, job_id, _all, "disk") == {}
    assert kept(service, job_id) == set(KINDS)


def test_files_that_were_made_anew_meanwhile_are_not_those_that_were_counted(
    service: Service,
) -> None:
    job_id = job(service, 9999)
    asked: list[str | None] = []

    def due(found: Job) -> dict[str, str]:
        asked.append(found.finished)
        if len(asked) == 1:
            add_status(service, job_id, 0, "queued", "running", "succeeded")
        return {"work": "the disk was low"}

    assert jobs.remove(service, job_id, due, "disk") == {}
    assert len(asked) == 2
    assert kept(service, job_id) == set(KINDS)


def test_a_bare_snakemake_keeps_its_files(service: Service, tmp_path: Path) -> None:
    job_id = job(service)
    lock = _lock(service, job_id)
    os.utime(lock, (0, 0))
    script = tmp_path / "snakemake"
    script.write_text("input()\n")
    bare = subprocess.Popen(
        [sys.executable, str(script)], cwd=path_of(service, job_id), stdin=subprocess.PIPE
    )
    try:
        with pytest.raises(JobBusy, match="started by hand"):
            jobs.remove(service, job_id, _all, "age")
    finally:
        bare.communicate(b"\n")
    assert set(jobs.remove(service, job_id, _all, "age")) == set(KINDS), "the old lock is stale"


def test_a_fresh_lock_may_be_one_of_another_machine(service: Service) -> None:
    job_id = job(service)
    _lock(service, job_id)
    with pytest.raises(JobBusy, match="within a day"):
        jobs.remove(service, job_id, _all, "age")
    assert kept(service, job_id) == set(KINDS)


def test_what_an_attempt_by_hand_wrote_is_taken_over_first(service: Service) -> None:
    job_id = job(service, 9999)
    directory = service.directory(row(service, job_id))
    directory.events.append("status", source="runner", status="running")
    assert sweep_all(service) == 0
    assert (row(service, job_id).status, kept(service, job_id)) == ("running", set(KINDS))


def test_a_job_that_runs_again_has_files_again(service: Service) -> None:
    job_id = job(service, 9999)
    sweep_all(service)
    assert told(row(service, job_id)) == {"work"}
    add_status(service, job_id, 0, "queued")
    assert told(row(service, job_id)) == {"work"}, "nothing has been made yet"
    add_status(service, job_id, 0, "running", "succeeded")
    assert told(row(service, job_id)) == set()


def test_files_of_others_behind_links_stay(service: Service, tmp_path: Path) -> None:
    outside = tmp_path / "shared"
    outside.mkdir()
    (outside / "precious.txt").write_text("mine")
    linked, inside = job(service), job(service)
    root = path_of(service, linked)
    aside.throw_away(root)
    (root / "work").rename(tmp_path / "moved")
    (root / "work").symlink_to(outside)
    (path_of(service, inside) / "work" / "link").symlink_to(outside)
    for job_id in (linked, inside):
        jobs.remove(service, job_id, _work, "age")
        assert (outside / "precious.txt").read_text() == "mine"
        assert not list((path_of(service, job_id) / "work").iterdir())
        assert not list(path_of(service, job_id).glob(".removed-*"))


def test_read_only_folders_go_too(service: Service) -> None:
    job_id = job(service)
    (path_of(service, job_id) / "work" / "deep").chmod(0o500)
    jobs.remove(service, job_id, _work, "age")
    assert kept(service, job_id) == {"results", "logs"}


@pytest.mark.parametrize("place", ["before the event", "after the event", "after the commit"])
def test_a_removal_that_is_killed_is_finished(service: Service, place: str) -> None:
    job_id = job(service, 9999)
    service.db.engine.dispose()
    pid = os.fork()
    if pid == 0:  # the process that is killed
        try:
            service.forget()
            _die(place)
            jobs.remove(service, job_id, _work, "age")
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    left = path_of(service, job_id)
    assert list(left.glob(".removed-*")), "it was set aside"
    sweep_all(service)
    assert kept(service, job_id) == {"results", "logs"}
    assert told(row(service, job_id)) == {"work"}
    (note,) = notes(service, job_id)
    assert note["removed"] == {"work": {"files": 2, "bytes": 200}}
    assert not list((service.home.path / "removing").iterdir())
    assert_row_is_directory(service, job_id)


def _die(place: str) -> None:
    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if place == "before the event":
        remove._tell = die
    elif place == "after the event":
        tell = remove._tell
        remove._tell = lambda *given: (tell(*given), die())
    else:
        aside.throw_away = die


def test_left_overs_of_a_killed_removal_do_not_hide_new_files(service: Service) -> None:
    job_id = job(service, 9999)
    root = path_of(service, job_id)
    (root / ".removed-work-1").mkdir()
    (root / ".removed-work-1" / "old.txt").write_text("old")
    note = service.home.path / "removing" / f"{job_id}.1"
    note.parent.mkdir()
    note.touch()
    jobs.settle_removals(service)
    assert kept(service, job_id) == set(KINDS)
    assert told(row(service, job_id)) == set()
    assert not note.exists()


def test_files_come_back_when_the_event_cannot_be_written(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = job(service, 9999)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(remove, "_tell", refuse)
    with pytest.raises(PermissionError):
        jobs.remove(service, job_id, _all, "age")
    assert kept(service, job_id) == set(KINDS)
    assert told(row(service, job_id)) == set()


def test_toy_stages_run_again_after_a_removal(running_service: Running) -> None:
    service = running_service.service
    job_id = running_service.submit()
    assert running_service.until_ended(job_id) == ["succeeded"]
    artifacts = path_of(service, job_id) / "results" / "third.txt"
    before = artifacts.read_text()
    gone = jobs.remove(service, job_id, _all, "age")
    assert {kind: amount.files > 0 for kind, amount in gone.items()} == dict.fromkeys(KINDS, True)
    assert not artifacts.exists()
    jobs.rerun(service, job_id, "jane")
    assert running_service.until_ended(job_id) == ["succeeded"]
    assert artifacts.read_text() == before
    assert told(row(service, job_id)) == set()
    stages = [e for e in running_service.events(job_id) if e["kind"] == "stage"]
    again = {e["stage"] for e in stages if e["attempt"] == 2 and e["status"] == "succeeded"}
    assert again == {"first", "second", "third"}
    assert (path_of(service, job_id) / "logs" / "job.log").stat().st_size > 0


def test_a_running_service_sweeps_by_itself(idle_service: Running) -> None:
    service = idle_service.service
    before = job(service, 9999)
    idle_service.up(JOBRUNNER_SWEEP_EVERY="0.1", JOBRUNNER_DISK_LOW="0")
    until(lambda: told(row(service, before)) == {"work"}, "the first pass")
    later = job(service, 9999)
    until(lambda: told(row(service, later)) == {"work"}, "a further pass")
    root = path_of(service, later)
    until(lambda: not list(root.glob(".removed-*")), "its files are deleted")
    assert kept(service, later) == {"results", "logs"}
