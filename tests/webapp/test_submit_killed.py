"""Kill -9 at every step of a submission: there is a whole job, or none."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import event, select

from tests.webapp.worlds import (
    assert_counts_are_true,
    assert_row_is_directory,
    make_home,
    open_service,
    row,
    trivial,
)
from webapp import jobs
from webapp.db import Database
from webapp.jobs import Conflict
from webapp.models import Job
from webapp.reconcile import reconcile
from webapp.service import Service

_STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "commit")


@pytest.fixture
def service(database: Database, database_url: str, tmp_path: Path) -> Iterator[Service]:
    make_home(tmp_path / "home")
    opened = open_service(tmp_path / "home", database_url)
    yield opened
    opened.db.engine.dispose()


class _Death:
    """Kills this process when it begins step number `last` of those that change something."""

    def __init__(self, home: Path, last: int) -> None:
        self.home = str(home)
        self.left = last

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, name: str, arguments: tuple[object, ...]) -> None:
        if name not in _STEPS or not str(arguments[0]).startswith(self.home):
            return
        flags = arguments[2] if name == "open" else os.O_WRONLY
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR):
            self.step()


def _act_until(home: Path, url: str, last: int, act: Callable[[Service], object]) -> NoReturn:
    """In a fork: act, and die at step `last`; exit code 0 if there are fewer steps."""
    code = 1
    try:
        service, death = open_service(home, url), _Death(home, last)
        service.db.ping()
        service.instances.all()
        sys.addaudithook(death.audit)
        event.listen(service.db.engine, "commit", lambda _: death.step())
        event.listen(service.db.engine, "after_cursor_execute", lambda *_: death.step())
        act(service)
        code = 0
    finally:
        os._exit(code)


def _forked(service: Service, url: str, last: int, act: Callable[[Service], object]) -> int:
    pid = os.fork()
    if pid == 0:
        _act_until(service.home.path, url, last, act)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_submission_that_dies_at_any_step_leaves_a_whole_job_or_none(
    service: Service, database_url: str
) -> None:
    service.db.engine.dispose()
    outcomes = []
    for last in range(200):
        act = lambda forked: jobs.submit(forked, trivial())  # noqa: E731
        status = _forked(service, database_url, last, act)
        outcomes.append((status, _whole(service)))
        if status == 0:
            break
    assert {status for status, _ in outcomes} == {0, -signal.SIGKILL}
    assert len(outcomes) > 20  # many steps were tried …
    accepted = outcomes[-1][1]
    assert 2 < accepted < len(outcomes) - 5  # … before and after the job was there
    assert_counts_are_true(service)


def test_what_is_asked_of_an_ended_job_is_in_rows_and_directory_wherever_its_writer_dies(
    service: Service, database_url: str
) -> None:
    job_id = jobs.submit(service, trivial()).job.id
    jobs.cancel(service, job_id, "jane")
    service.db.engine.dispose()
    told = set()
    for last in range(200):
        status = _forked(service, database_url, last, lambda s: jobs.rerun(s, job_id, "jane"))
        reconcile(service)
        assert_row_is_directory(service, job_id)
        told.add(row(service, job_id).status)
        if status == 0:
            break
        with suppress(Conflict):
            jobs.cancel(service, job_id, "jane")
        service.db.engine.dispose()
    assert told == {"cancelled", "queued"}
    assert not list((service.home.path / "unsettled").iterdir())
    assert_counts_are_true(service)


def _whole(service: Service) -> int:
    """Every job of the database is whole after the reconciler; every other folder is a draft."""
    reconcile(service)
    with service.db.read() as session:
        found = list(session.scalars(select(Job)))
    for job in found:
        directory = service.directory(job)
        assert directory.path == service.path(job)
        assert directory.config["params"] == {"word": "word"}
        assert_row_is_directory(service, job.id)
    ids = {job.id for job in found}
    for path in service.home.jobs.glob("*/*/*/*"):
        if path.name not in ids:  # a claimed id without a job, or its draft
            assert path.name.startswith(".draft-") or list(path.iterdir()) == []
    return len(ids)
