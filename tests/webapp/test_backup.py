"""`jobrunner backup` and `restore`: one moment of a working service, back on either database."""

from __future__ import annotations

import json
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select, text

from runner.errors import JobRunnerError
from tests.webapp.attempts import run
from tests.webapp.running import Running, open_running, until
from tests.webapp.tables import everything, rebuilt
from tests.webapp.worlds import add_worker, assert_counts_are_true, make_home, open_service, trivial
from webapp import jobs, migrate, pools, tokens
from webapp.backup import backup, restore, tables
from webapp.backup.archive import DamagedBackup
from webapp.cli.backup import backup as backup_command
from webapp.cli.backup import restore as restore_command
from webapp.db import Database
from webapp.jobs import Conflict, IdempotencyKey
from webapp.lease import lease
from webapp.models import Artifact, Delivery, Job, JobEvent, Token
from webapp.reindex import reindex
from webapp.service import Service

KINDS = ("sqlite", "postgresql")
CANARY = "canary-7f3a9c"
Opener = Callable[..., Service]


@pytest.fixture
def opener(new_database_url: Callable[..., str], tmp_path: Path) -> Iterator[Opener]:
    """Open services with databases of their own."""
    made: list[Service] = []

    def open_one(kind: str, home: str = "home", tables: bool = True) -> Service:
        if not (tmp_path / home).exists():
            make_home(tmp_path / home)
        made.append(open_service(tmp_path / home, new_database_url(kind, tables)))
        return made[-1]

    yield open_one
    for service in made:
        service.db.engine.dispose()


def _fill(service: Service) -> None:
    """Have a row in every table that people fill."""
    add_worker(service, slots=10)
    run(service, tags=["Ümläut"], priority=3)
    run(service, "failed")
    key = IdempotencyKey("scope", "key", "0" * 64)
    jobs.submit(service, trivial(), key)
    with service.db.write() as session:
        tokens.create(session, name="jane", role="admin")
        pools.pause(session, "instance", "default", "joe")
        pools.set_capacity(session, "default", 3)
        for number, state in enumerate(("delivered", "waiting", "given_up")):
            session.add(_delivery(f"key-{number}", state))


def _delivery(key: str, state: str) -> Delivery:
    time = "2026-11-22T00:00:00.000Z"
    return Delivery(
        key=key, kind="email", instance="default", target="email", lane="lane", event="x",
        recipients=["a@b.example"], data={"text": "ü\u2028"}, state=state, tries=1,
        history=[{"time": time}], created=time, next_try=time, expires=time,
    )  # fmt: skip


def _of_data(service: Service) -> dict[str, list[dict[str, Any]]]:
    return {name: rows for name, rows in everything(service.db).items() if name != "workers"}


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", KINDS)
def test_every_row_comes_back_on_either_database(
    opener: Opener, source: str, target: str, tmp_path: Path
) -> None:
    old = opener(source)
    _fill(old)
    saved = backup(old, tmp_path / "backup.tar.gz")
    assert saved.rows["jobs"] == 3
    new = opener(target, tables=False)
    done = restore(new, tmp_path / "backup.tar.gz", send_waiting=True)
    assert done.rows == saved.rows
    assert _of_data(new) == _of_data(old)
    with new.db.read() as session:  # null is NULL, not the JSON value
        assert session.scalar(text("SELECT count(*) FROM jobs WHERE error IS NULL")) == 2
    with new.db.write() as session:
        found = _delivery("one more", "waiting")
        session.add(found)
        session.flush()
        assert found.id == 4, "numbers go on where they were"
    migrate.check(new.db)


def test_what_waited_to_be_sent_is_not_sent_again(opener: Opener, tmp_path: Path) -> None:
    old = opener("sqlite")
    _fill(old)
    backup(old, tmp_path / "backup.tar.gz")
    new = opener("sqlite", tables=False)
    assert restore(new, tmp_path / "backup.tar.gz").given_up == 1
    with new.db.read() as session:
        states = session.scalars(select(Delivery.state).order_by(Delivery.id)).all()
    assert states == ["delivered", "given_up", "given_up"]


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


def test_it_refuses_what_is_not_empty_unless_all_is_to_be_replaced(
    opener: Opener, tmp_path: Path
) -> None:
    old, new = opener("sqlite"), opener("sqlite")
    _fill(old)
    backup(old, tmp_path / "backup.tar.gz")
    with new.db.write() as session:
        tokens.create(session, name="joe", role="admin")
    with pytest.raises(Conflict, match=r"not empty.*--replace"):
        restore(new, tmp_path / "backup.tar.gz")
    restore(new, tmp_path / "backup.tar.gz", replace=True, send_waiting=True)
    assert _of_data(new) == _of_data(old)


def test_it_refuses_while_a_worker_lives(opener: Opener, tmp_path: Path) -> None:
    old, new = opener("sqlite"), opener("sqlite")
    backup(old, tmp_path / "backup.tar.gz")
    add_worker(new)
    with pytest.raises(Conflict, match="Workers are alive"):
        restore(new, tmp_path / "backup.tar.gz", replace=True)


def test_it_refuses_while_a_web_server_runs_that_sends_notices(
    opener: Opener, tmp_path: Path
) -> None:
    old, new = opener("sqlite"), opener("sqlite", tables=False)
    backup(old, tmp_path / "backup.tar.gz")
    with lease(new.home.path, "notifier"), pytest.raises(Conflict, match="is running"):
        restore(new, tmp_path / "backup.tar.gz")


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_all_or_nothing(
    opener: Opener, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = opener("sqlite"), opener(kind, "other")
    _fill(old)
    (old.home.path / "config" / "instances" / "third.yaml").write_text("profile: plain\n")
    backup(old, tmp_path / "backup.tar.gz")
    jobs.submit(new, trivial())
    before, config = _of_data(new), sorted((new.home.path / "config").rglob("*"))

    def fail(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("webapp.backup.tables.go_on_counting", fail)
    with pytest.raises(RuntimeError, match="no"):
        restore(new, tmp_path / "backup.tar.gz", replace=True)
    assert _of_data(new) == before
    assert sorted((new.home.path / "config").rglob("*")) == config
    assert not list(new.home.path.glob(".restore-*"))


def test_a_damaged_backup_is_refused_before_anything_is_touched(
    opener: Opener, tmp_path: Path
) -> None:
    old, new = opener("sqlite"), opener("sqlite")
    _fill(old)
    path = tmp_path / "backup.tar.gz"
    backup(old, path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"PK" + whole[2:], _with_other_rows(path)):
        path.write_bytes(content)
        with pytest.raises(DamagedBackup):
            restore(new, path)
    assert all(not rows for name, rows in _of_data(new).items() if name != "schema_notes")


def _with_other_rows(path: Path) -> bytes:
    """The same archive, with a table that somebody has changed."""
    from io import BytesIO

    changed = BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=changed, mode="w:gz") as new:
        for info in old:
            stream = old.extractfile(info)
            assert stream is not None
            content = stream.read()
            if info.name == "tables/tokens.jsonl":
                content = content.replace(b'"admin"', b'"Admin"')
            new.addfile(info, BytesIO(content))
    return changed.getvalue()


def test_a_backup_of_older_tables_comes_up_and_one_of_newer_is_refused(
    opener: Opener, tmp_path: Path
) -> None:
    old = opener("sqlite", tables=False)
    migrate.upgrade(old.db, "0001")
    with old.db.write() as session:
        session.execute(text("INSERT INTO pauses VALUES ('pool', 'default', 'joe', 'now')"))
    assert backup(old, tmp_path / "backup.tar.gz").rows["pauses"] == 1
    new = opener("postgresql", tables=False)
    assert restore(new, tmp_path / "backup.tar.gz").revision == "0001"
    migrate.check(new.db)
    assert everything(new.db)["pauses"][0]["by"] == "joe"
    with old.db.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    backup(old, tmp_path / "newer.tar.gz")
    with pytest.raises(migrate.WrongSchema, match=r"9999.*newer"):
        restore(opener("sqlite", tables=False), tmp_path / "newer.tar.gz")


def _with_secrets(service: Service, elsewhere: Path) -> None:
    config = service.home.path / "config"
    (config / "secrets").mkdir()
    outside = elsewhere / "dsn"
    outside.write_text(f"{CANARY}-outside\n")
    files = {
        "secrets/any.yaml": f"{CANARY}-secrets",
        "webhook.key": f"{CANARY}-key",
        "hidden.yaml": f"{CANARY}-hidden",
        "keys.json": f"{CANARY}-jwks",
        "notes.txt": f"{CANARY}-notes",
        "careless.yaml": f"dsn was {CANARY}-outside once",
        "profiles/platform.yaml": f"platform: {{dsn: 'file:{outside}'}}",
        "instances/shop.yaml": "webhooks:\n- {name: a, url: 'https://x.example/', secret: "
        "'file:config/webhook.key'}\n- {name: b, url: env:TEST_HOOK, secret: 'file:hidden.yaml'}",
        "inline.yaml": f"url: {CANARY}-environment",
        "issuers/scse.yaml": "issuer: x\nalgorithms: [RS256]\njwks: config/keys.json\n",
    }
    for name, content in files.items():
        (config / name).parent.mkdir(exist_ok=True)
        (config / name).write_text(content + "\n")


def _content(path: Path) -> bytes:
    with tarfile.open(path) as archive:
        names = "\n".join(archive.getnames()).encode()
        parts = [archive.extractfile(info).read() for info in archive]  # type: ignore[union-attr]
    return b"\0".join([names, *parts])


def test_no_secret_is_in_a_backup_unless_it_was_asked_for(
    opener: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_HOOK", f"{CANARY}-environment")
    service = opener("sqlite")
    _with_secrets(service, tmp_path)
    path = tmp_path / "backup.tar.gz"
    saved = backup(service, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert CANARY.encode() not in _content(path)
    assert b"config/profiles/platform.yaml" in _content(path)
    assert b"config/instances/shop.yaml" in _content(path)
    assert set(saved.left_out) == {
        "secrets/any.yaml", "webhook.key", "hidden.yaml", "keys.json", "notes.txt",
        "careless.yaml", "inline.yaml",
    }  # fmt: skip
    backup(service, path, with_secrets=True)
    assert path.stat().st_mode & 0o777 == 0o600
    for name in ("secrets", "key", "hidden", "jwks", "notes", "outside"):
        assert f"{CANARY}-{name}".encode() in _content(path), name


def test_configuration_comes_back_and_what_is_newer_is_kept_and_said(
    opener: Opener, tmp_path: Path
) -> None:
    old = opener("sqlite")
    _with_secrets(old, tmp_path)
    backup(old, tmp_path / "backup.tar.gz", with_secrets=True)
    config = old.home.path / "config"
    gone, changed, older = (config / name for name in ("notes.txt", "webhook.key", "hidden.yaml"))
    whole = {path: path.read_text() for path in (gone, changed, older, tmp_path / "dsn")}
    gone.unlink()
    (tmp_path / "dsn").unlink()
    changed.write_text("changed since\n")
    os.utime(changed, (changed.stat().st_mtime + 60,) * 2)
    older.write_text("from before\n")
    os.utime(older, (1, 1))
    done = restore(opener("sqlite", tables=False), tmp_path / "backup.tar.gz")
    assert done.kept == [str(changed)]
    assert sorted(done.files) == sorted(map(str, (gone, older, tmp_path / "dsn")))
    assert changed.read_text() == "changed since\n"
    again = restore(opener("sqlite", tables=False), tmp_path / "backup.tar.gz", replace=True)
    assert again.files == [str(changed)]
    assert {path: path.read_text() for path in whole} == whole


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
