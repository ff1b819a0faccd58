"""A backup of a working service has one moment; reindex brings what came after."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from runner.errors import JobRunnerError
from tests.webapp.backups import KINDS
from tests.webapp.running import Running, open_running, until
from tests.webapp.tables import rebuilt
from tests.webapp.worlds import assert_counts_are_true
from webapp import tokens
from webapp.backup import backup, restore, tables
from webapp.cli.backup import backup as backup_command
from webapp.cli.backup import restore as restore_command
from webapp.db import Database
from webapp.models import Artifact, Job, JobEvent, Token
from webapp.reindex import reindex
from webapp.service import Service


@pytest.mark.parametrize("backend", KINDS)
def test_under_load_it_has_one_moment_and_reindex_brings_the_rest(
    idle_service: Running, new_database_url: Callable[..., str], backend: str, tmp_path: Path
) -> None:
    running, stop = idle_service, threading.Event()
    process = running.up()

    def submit() -> None:
        while not stop.is_set():
            running.submit("trivial", tags=["load"])

    threads = [threading.Thread(target=submit) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: list(running.statuses().values()).count("succeeded") > 5, "jobs end")
        saved = [backup(running.service, tmp_path / f"{number}.tar.gz") for number in range(3)]
        count = len(running.statuses())
        until(lambda: len(running.statuses()) > count + 3, "more jobs")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(running.until_ended(*running.statuses())) == {"succeeded"}
    assert saved[0].rows["jobs"] < len(running.statuses())
    process.terminate()
    assert process.wait(30) == 0
    for number in range(3):
        other = KINDS[number % 2]
        new = open_running(running.home, new_database_url(other, False)).service
        _drop(new.db)
        restore(new, tmp_path / f"{number}.tar.gz")
        _assert_consistent(new)
        report = reindex(new)
        assert (report.problems, report.found) == ([], len(running.statuses()))
        assert rebuilt(new.db) == rebuilt(running.service.db)
        new.db.engine.dispose()


def _drop(database: Database) -> None:
    with database.changing_tables() as connection:
        tables.drop(connection)


def _assert_consistent(service: Service) -> None:
    """The rows agree with each other, as they do at any one moment."""
    assert_counts_are_true(service)
    with service.db.read() as session:
        for job in session.scalars(select(Job)):
            events = session.scalars(select(JobEvent.n).where(JobEvent.job_id == job.id)).all()
            assert sorted(events) == list(range(1, job.events_seen + 1)), job.id
        known = set(session.scalars(select(Job.id)))
        assert set(session.scalars(select(Artifact.job_id))) <= known


def test_the_commands_bring_all_back_and_take_in_what_came_after(
    idle_service: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, file = idle_service, tmp_path / "backup.tar.gz"
    with running.service.db.write() as session:
        token = tokens.create(session, name="jane", role="admin")
    first = running.submit("trivial")
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    said = CliRunner().invoke(backup_command, [str(file)])
    assert said.exit_code == 0, said.output
    assert f"{file}: 1 jobs" in said.stdout
    second = running.submit("trivial")
    running.service.db.engine.dispose()
    for path in tmp_path.glob("service-*.db*"):
        path.unlink()
    process = running.up()
    refused = CliRunner().invoke(restore_command, [str(file)])
    assert isinstance(refused.exception, JobRunnerError)
    assert "Stop it first" in refused.exception.message
    process.terminate()
    assert process.wait(30) == 0
    refused = CliRunner().invoke(restore_command, [str(file)])
    assert "--replace" in str(refused.exception)
    said = CliRunner().invoke(restore_command, [str(file), "--replace", "--json"])
    assert said.exit_code == 0, said.output
    document = json.loads(said.stdout)
    assert (document["rows"]["jobs"], document["reindex"]["added"]) == (1, 1)
    assert set(running.statuses()) == {first, second}
    with running.service.db.write() as session:
        assert tokens.authenticate(session, token).role == "admin"
        assert len(list(session.scalars(select(Token)))) == 1
    running.up()
    assert running.until_ended(first, second) == ["succeeded", "succeeded"]
