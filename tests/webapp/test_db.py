"""Transactions do what they say, on both databases, between real processes."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.postgresql import cluster, running
from webapp import db
from webapp.db import Database, DatabaseAway
from webapp.models import JobCount

SPAWN = multiprocessing.get_context("spawn")


def _number(session: Session) -> int:
    row = session.get(JobCount, ("default", "toy", "queued"))
    assert row is not None
    return row.number


def _add(database: Database, number: int = 0) -> None:
    with database.write() as session:
        session.add(JobCount(instance="default", type="toy", status="queued", number=number))


def _count_up(url: str, times: int, how: str) -> None:
    """Read, then write what was read plus one: two at once would lose one of them."""
    database = Database(url)
    for _ in range(times):
        manager = database.exclusive("counting") if how == "exclusive" else database.write()
        with manager as session:
            row = session.get(JobCount, ("default", "toy", "queued"))
            assert row is not None
            row.number += 1


def _all_at_once(url: str, how: str) -> int:
    database = Database(url)
    _add(database)
    counting = [SPAWN.Process(target=_count_up, args=(url, 50, how)) for _ in range(4)]
    for process in counting:
        process.start()
    for process in counting:
        process.join()
    assert [process.exitcode for process in counting] == [0] * 4
    with database.read() as session:
        return _number(session)


def test_of_many_processes_only_one_is_in_an_exclusive_block(database_url: str) -> None:
    assert _all_at_once(database_url, "exclusive") == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_writer_on_sqlite_is_alone_from_its_first_statement(database_url: str) -> None:
    assert _all_at_once(database_url, "write") == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_writing_block_on_sqlite_locks_before_it_says_anything(
    database: Database, database_url: str
) -> None:
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=0)
    with database.write() as session:
        session.connection()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_exclusive_blocks_of_other_names_do_not_wait_on_postgresql(
    database: Database,
) -> None:
    if database.is_sqlite:  # one writer at a time, whatever its name
        return
    with database.exclusive("one"), database.exclusive("other") as session:
        assert session.execute(text("SELECT 1")).scalar_one() == 1


def test_a_reader_sees_one_state_while_others_write(database: Database) -> None:
    _add(database, 1)
    with database.read() as session:
        assert _number(session) == 1
        writer = threading.Thread(target=_write_two, args=(database,))
        writer.start()
        writer.join(30)
        assert not writer.is_alive()  # a reader stops nobody
        session.expire_all()
        assert _number(session) == (1 if database.is_sqlite else 2)
    with database.read() as session:
        assert _number(session) == 2


def _write_two(database: Database) -> None:
    with database.write() as session:
        row = session.get(JobCount, ("default", "toy", "queued"))
        assert row is not None
        row.number = 2


def test_an_error_in_a_writing_block_keeps_nothing(database: Database) -> None:
    def write_and_fail() -> None:
        with database.write() as session:
            session.add(JobCount(instance="i", type="t", status="queued", number=1))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    with database.read() as session:
        assert session.get(JobCount, ("i", "t", "queued")) is None


def test_what_a_reading_block_changes_is_not_kept(database: Database) -> None:
    _add(database, 1)
    with database.read() as session:
        session.execute(text("UPDATE job_counts SET number = 9"))
    with database.read() as session:
        assert _number(session) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_sqlite_file_survives_a_power_cut_and_minds_foreign_keys(database: Database) -> None:
    wanted = {"foreign_keys": 1, "synchronous": 2, "journal_mode": "wal"}  # 2: full
    with database.read() as session:
        found = {name: session.execute(text(f"PRAGMA {name}")).scalar_one() for name in wanted}
    assert found == wanted


def test_a_stopped_server_is_away_and_is_found_again_when_it_is_back() -> None:
    with cluster() as server:
        database = Database(server.dsn("postgres"))
        with running(server):
            database.ping()
        with pytest.raises(DatabaseAway) as caught:
            database.ping()
        assert (caught.value.status, caught.value.code) == (503, "database_unavailable")
        assert "s3cr3t" not in caught.value.message
        with running(server):
            database.ping()
        database.engine.dispose()


def test_a_server_that_stops_within_a_transaction_is_away() -> None:
    with cluster() as server:
        database = Database(server.dsn("postgres"))

        def write_and_lose_the_server() -> None:
            with database.write() as session:
                with running(server):
                    session.execute(text("SELECT 1"))
                session.execute(text("SELECT 1"))

        with pytest.raises(DatabaseAway):
            write_and_lose_the_server()
        database.engine.dispose()


def test_a_database_that_another_program_keeps_locked_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "_BUSY", 0)
    database = Database(f"sqlite:///{tmp_path / 'service.db'}")
    database.ping()
    other = sqlite3.connect(tmp_path / "service.db")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseAway, match="locked"), database.write() as session:
        session.execute(text("SELECT 1"))
    other.close()


def test_a_mistake_in_a_statement_is_not_taken_for_a_database_that_is_away(
    database: Database,
) -> None:
    with pytest.raises(Exception, match="nowhere") as caught, database.read() as session:
        session.execute(text("SELECT * FROM nowhere"))
    assert not isinstance(caught.value, DatabaseAway)


def test_a_fork_that_forgets_has_connections_of_its_own(database: Database) -> None:
    """Two processes that talk through one connection get each other's answers."""
    database.ping()  # there is a connection in the pool
    asking = [_fork(database, number) for number in range(3)]
    for _ in range(200):
        with database.read() as session:
            assert session.execute(text("SELECT 0")).scalar_one() == 0
    assert [os.waitpid(pid, 0)[1] for pid in asking] == [0, 0, 0]
    database.ping()  # the forks have not closed it


def _fork(database: Database, number: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        database.forget()
        for _ in range(200):
            with database.read() as session:
                assert session.execute(text(f"SELECT {number}")).scalar_one() == number
        code = 0
    finally:
        os._exit(code)


def test_the_parts_of_an_address_are_understood() -> None:
    for given in ("postgresql://h/d", "postgres://h/d", "postgresql+psycopg://h/d"):
        assert Database(given).url.drivername == "postgresql+psycopg"
