"""What hinders the removal of one job's files hinders nothing else, and nothing for good."""

from __future__ import annotations

import importlib
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import select

from runner.retention import KINDS
from webapp import jobs, retention
from webapp.jobs import aside
from webapp.models import Artifact, Job
from webapp.service import Service

from .retained import job, kept, path_of, sweep_all, told
from .worlds import make_home, open_service, row

remove = importlib.import_module("webapp.jobs.remove")  # the package has a function of that name
watching = importlib.import_module("webapp.retention.watch")

_NOBODY = 65534


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Service:
    return open_service(make_home(tmp_path / "home").path, database_url, disk_low=0)


def _all(_: Job) -> dict[str, str]:
    return dict.fromkeys(KINDS, "kept for 1h")


def _as_a_user(act: Callable[[], object]) -> int:
    """Do something in a process that is not the superuser's; give its exit code."""
    pid = os.fork()
    if pid == 0:
        try:
            if os.getuid() == 0:
                os.setuid(_NOBODY)
            act()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100])
def test_folders_that_are_closed_to_their_owner_go_too(mode: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        closed = root / ".removed-work-1" / "deep" / "closed"
        (closed / "further").mkdir(parents=True)
        (closed / "a.txt").touch()
        (closed.parent / "z.txt").touch()
        if os.getuid() == 0:
            for path in (root, *root.rglob("*")):
                os.chown(path, _NOBODY, _NOBODY)
        closed.chmod(mode)
        assert _as_a_user(lambda: aside.measure(root, ["work"])) == 0
        assert _as_a_user(lambda: aside.throw_away(root)) == 0
        assert not list(root.iterdir())


def test_a_removal_that_cannot_be_finished_keeps_no_other_from_its_turn(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = job(service, 9999), job(service, 9998)
    note = service.home.path / "removing" / f"{stuck}.1"
    note.parent.mkdir()
    note.touch()
    throw_away = aside.throw_away

    def refuse(root: Path) -> None:
        if root == path_of(service, stuck):
            raise PermissionError(13, "no")
        throw_away(root)

    monkeypatch.setattr(aside, "throw_away", refuse)
    retention.Sweeper(service).sweep()
    assert kept(service, other) == {"results", "logs"}
    assert note.exists()
    monkeypatch.setattr(aside, "throw_away", throw_away)
    jobs.settle_removals(service)
    assert not note.exists()


@pytest.mark.parametrize("place", ["before the event", "after the event"])
def test_results_that_a_killed_removal_took_are_listed_no_longer(
    service: Service, place: str
) -> None:
    job_id = job(service, 9999)
    with service.db.write() as session:
        session.add(Artifact(job_id=job_id, path="results/only.txt", bytes=100, sha256="0" * 64))
    service.db.engine.dispose()
    pid = os.fork()
    if pid == 0:  # the process that is killed
        try:
            service.forget()
            _die(place)
            jobs.remove(service, job_id, _all, "age")
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    sweep_all(service)
    assert told(row(service, job_id)) == set(KINDS)
    with service.db.read() as session:
        assert not session.scalars(select(Artifact.path).where(Artifact.job_id == job_id)).all()


def _die(place: str) -> None:
    tell = remove._tell

    def die(*given: object) -> None:
        if place == "after the event":
            tell(*given)
        os.kill(os.getpid(), signal.SIGKILL)

    pytest.MonkeyPatch().setattr(remove, "_tell", die)


class _Enough(BaseException):
    """Ends what would go on for ever."""


def test_the_sweeper_outlives_a_disk_that_is_away(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, lease = job(service, 9999), watching.lease
    answers = iter([_away, lease, _enough])
    monkeypatch.setattr(watching, "lease", lambda *given: next(answers)(*given))
    monkeypatch.setattr(watching, "_wait", lambda _: None)
    with pytest.raises(_Enough):
        retention.watch(service)
    assert kept(service, job_id) == {"results", "logs"}


def test_a_running_sweeper_goes_on_where_its_last_pass_stopped(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home(tmp_path / "home")
    service = open_service(home.path, database_url, disk_low=0, sweep_budget=1)
    in_use, other = job(service, 9999), job(service, 9998)
    lock = path_of(service, in_use) / ".snakemake" / "locks" / "0.input.lock"
    lock.parent.mkdir()
    lock.touch()
    answers = iter([watching.lease] * 3 + [_enough])
    monkeypatch.setattr(watching, "lease", lambda *given: next(answers)(*given))
    monkeypatch.setattr(watching, "_wait", lambda _: None)
    monkeypatch.setattr("webapp.retention.sweep._TRIES", 1)
    with pytest.raises(_Enough):
        retention.watch(service)
    assert kept(service, in_use) == set(KINDS)
    assert kept(service, other) == {"results", "logs"}


def test_who_cannot_see_how_much_is_free_waits_until_the_next_sweep(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home(tmp_path / "home")
    service = open_service(home.path, database_url, sweep_every=0.05)
    monkeypatch.setattr(watching, "_LOOK", 0.01)
    monkeypatch.setattr(watching.disk, "is_low", _away)
    began = time.monotonic()
    watching._wait(service)
    assert time.monotonic() - began >= 0.05


def _away(*_: object) -> NoReturn:
    raise OSError(5, "Input/output error")


def _enough(*_: object) -> NoReturn:
    raise _Enough
