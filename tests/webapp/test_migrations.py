"""The tables come up from every earlier revision, on both databases, whoever starts first."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import autogenerate
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy import types as sql_types

from webapp import migrate
from webapp.cli.migrate import migrate as command
from webapp.db import Database, DatabaseAway
from webapp.models import Base

pytestmark = pytest.mark.filterwarnings(
    "ignore:Skipped unsupported reflection of expression-based index",
    "ignore:autogenerate skipping metadata-specified expression-based index",
)
REVISIONS = [script.revision for script in migrate._scripts().walk_revisions()][::-1]

EXPRESSIONS = {
    index.name
    for table in Base.metadata.tables.values()
    for index in table.indexes
    if not all(isinstance(part, Column) for part in index.expressions)
}


def _reflected(connection: Connection) -> MetaData:
    metadata = MetaData()
    metadata.reflect(connection)
    return metadata


def _sample(table: Table) -> dict[str, Any]:
    """A row that any table of ours takes; what refers to another table refers to its sample."""
    row: dict[str, Any] = {}
    for column in table.columns:
        if isinstance(column.type, JSON):
            row[column.name] = {"a": 1}
        elif isinstance(column.type, sql_types.Boolean):
            row[column.name] = True
        elif isinstance(column.type, (Integer, sql_types.Float)):
            row[column.name] = 7
        elif isinstance(column.type, sql_types.DateTime):
            row[column.name] = datetime.now(UTC)
        elif isinstance(column.type, sql_types.LargeBinary):
            row[column.name] = b"x"
        else:
            row[column.name] = "x"
    return row


def _fill(database: Database) -> dict[str, int]:
    """Put a row into each table and give how many rows each has then."""
    with database.write() as session:
        metadata = _reflected(session.connection())
        for table in metadata.sorted_tables:
            if table.name != "alembic_version":
                session.execute(table.insert().values(_sample(table)))
        return {
            table.name: session.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def _shape(database: Database) -> set[tuple[Any, ...]]:
    """What there is, as the database itself tells it: columns, keys, indexes with conditions."""
    found: set[tuple[Any, ...]] = set()
    with database.read() as session:
        connection = session.connection()
        for table in inspect(connection).get_table_names():
            if table == "alembic_version":
                continue
            for column in inspect(connection).get_columns(table):
                kind = (str(column["type"]), column["nullable"], column["default"])
                found.add((table, column["name"], *kind))
            found.add((table, str(inspect(connection).get_pk_constraint(table))))
            found |= {(table, str(key)) for key in inspect(connection).get_foreign_keys(table)}
        where = "sqlite_master WHERE type = 'index'" if database.is_sqlite else "pg_indexes"
        what = "tbl_name, sql" if database.is_sqlite else "tablename, indexdef"
        rows = session.execute(text(f"SELECT {what} FROM {where}"))
        found |= {tuple(row) for row in rows if not row[0].startswith(("pg_", "alembic_"))}
    return found


def _seen(thing: Any, name: str, kind: str, reflected: bool, other: Any) -> bool:
    """Tell whether alembic can compare it; the others are compared by `_shape`."""
    return kind != "index" or name not in EXPRESSIONS


@pytest.fixture
def modelled(new_database_url: Any, database: Database) -> Iterator[Database]:
    """A database of the same kind whose tables were made from the models."""
    other = Database(new_database_url("sqlite" if database.is_sqlite else "postgresql", False))
    Base.metadata.create_all(other.engine)
    yield other
    other.engine.dispose()


@pytest.mark.parametrize("start", [None, *REVISIONS])
def test_a_database_of_every_earlier_revision_comes_up_with_all_its_rows(
    empty_database: Database, start: str | None
) -> None:
    rows: dict[str, int] = {}
    if start is not None:
        migrate.upgrade(empty_database, start)
        assert migrate.current(empty_database) == start
        rows = _fill(empty_database)
    migrate.upgrade(empty_database)
    migrate.check(empty_database)
    with empty_database.read() as session:
        for table in _reflected(session.connection()).sorted_tables:
            count = session.execute(select(func.count()).select_from(table)).scalar_one()
            assert count == rows.get(table.name, count), table.name


def test_the_revisions_are_one_line_numbered_in_order() -> None:
    numbers = [f"{number:04d}" for number in range(1, len(REVISIONS) + 1)]
    assert numbers == REVISIONS


def test_the_migrated_tables_are_those_of_the_models(
    database: Database, modelled: Database
) -> None:
    with database.read() as session:
        options = {"compare_type": True, "compare_server_default": True, "include_object": _seen}
        context = MigrationContext.configure(session.connection(), opts=options)
        assert autogenerate.compare_metadata(context, Base.metadata) == []
    assert _shape(database) == _shape(modelled)


def _upgrade(url: str, barrier: Any) -> None:
    database = Database(url)
    barrier.wait(30)
    migrate.upgrade(database)
    migrate.check(database)


def test_four_processes_that_start_at_once_bring_the_tables_up_once(
    empty_database_url: str,
) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(4)
    starting = [
        context.Process(target=_upgrade, args=(empty_database_url, barrier)) for _ in range(4)
    ]
    for process in starting:
        process.start()
    for process in starting:
        process.join()
    assert [process.exitcode for process in starting] == [0, 0, 0, 0]
    database = Database(empty_database_url)
    migrate.check(database)
    database.engine.dispose()


def test_a_database_without_tables_is_refused_with_what_to_run(empty_database: Database) -> None:
    with pytest.raises(migrate.WrongSchema, match=r"no tables yet.*jobrunner migrate") as caught:
        migrate.check(empty_database)
    assert "s3cr3t" not in caught.value.message
    assert caught.value.status == 503


def test_the_command_that_the_refusal_names_brings_the_tables_up(
    empty_database: Database,
    empty_database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JOBRUNNER_DATABASE_URL", empty_database_url)
    monkeypatch.setenv("JOBRUNNER_HOME", str(tmp_path))
    first = CliRunner().invoke(command, [])
    assert (first.exit_code, first.output) == (
        0, f"The tables came from revision none to {REVISIONS[-1]}.\n",
    )  # fmt: skip
    migrate.check(empty_database)
    assert "already" in CliRunner().invoke(command, []).output


def test_a_new_revision_is_written_from_what_the_models_have_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(migrate._FOLDER, tmp_path / "own"))
    monkeypatch.setattr(migrate, "_FOLDER", folder)
    with monkeypatch.context() as patch:
        patch.setattr(Base, "metadata", _with_one_more_table())
        migrate._write_revision("Colours of jobs")
    (script,) = (folder / "versions").glob("*_colours_of_jobs.py")
    compile(script.read_text(), str(script), "exec")
    assert 'op.create_table("colours"' in script.read_text().replace("'", '"')


def _with_one_more_table() -> MetaData:
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in Base.metadata.tables.values():
        table.to_metadata(metadata)
    Table("colours", metadata, Column("name", sql_types.Text(), primary_key=True))
    return metadata


def test_a_database_of_newer_code_is_refused_and_left_alone(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        session.execute(text("UPDATE schema_notes SET value = '9998' WHERE name = 'oldest'"))
    for act in (migrate.check, migrate.upgrade):
        with pytest.raises(migrate.WrongSchema, match="9999 of the tables, which is newer"):
            act(database)
    assert migrate.current(database) == "9999"


def test_a_database_of_newer_code_is_worked_with_if_that_code_says_so(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        session.execute(text(f"UPDATE schema_notes SET value = '{REVISIONS[-1]}'"))
    migrate.check(database)
    migrate.upgrade(database)
    assert migrate.current(database) == "9999"


def test_a_database_that_is_away_is_called_so(tmp_path: Path) -> None:
    database = Database(f"postgresql://nobody@/none?host={tmp_path}")
    with pytest.raises(DatabaseAway):
        migrate.check(database)


LATER = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "{next}", "{last}", None, None
def upgrade():
    with op.batch_alter_table("jobs") as jobs:
        jobs.alter_column("type", type_=sa.String(99), existing_type=sa.Text(), nullable=False)
        jobs.add_column(sa.Column("colour", sa.Text(), nullable=False, server_default="red"))
    {end}
"""


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Add a revision after the last, which makes the table of jobs anew on SQLite."""

    def add(end: str) -> None:
        folder = Path(shutil.copytree(migrate._FOLDER, tmp_path / "migrations"))
        script = LATER.format(next="later", last=REVISIONS[-1], end=end)
        (folder / "versions" / "later.py").write_text(script)
        monkeypatch.setattr(migrate, "_FOLDER", folder)

    return add


def test_a_revision_that_makes_a_table_anew_keeps_the_rows_that_refer_to_it(
    database: Database, later: Any
) -> None:
    rows = _fill(database)
    later("pass")
    migrate.upgrade(database)
    with database.write() as session:
        for name, count in rows.items():
            found = session.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            assert found == count, name
        assert session.execute(text("SELECT colour FROM jobs")).scalar_one() == "red"
        session.execute(text("DELETE FROM jobs"))  # foreign keys are looked at again
        assert session.execute(text("SELECT count(*) FROM events")).scalar_one() == 0


def test_a_revision_that_fails_halfway_changes_nothing(database: Database, later: Any) -> None:
    before = _shape(database)
    later("raise RuntimeError('no')")
    with pytest.raises(RuntimeError, match="no"):
        migrate.upgrade(database)
    assert _shape(database) == before
    assert migrate.current(database) == REVISIONS[-1]
    with pytest.raises(migrate.WrongSchema, match=f"revision {REVISIONS[-1]} of the tables"):
        migrate.check(database)


def test_every_revision_says_what_it_is_for() -> None:
    for script in ScriptDirectory(str(migrate._FOLDER)).walk_revisions():
        assert script.doc, script.revision
