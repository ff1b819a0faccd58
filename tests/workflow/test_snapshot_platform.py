"""Platforms that cannot be read are one clear error each; reading needs no right to write."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import PASSWORD, Server
from tests.workflow.snapshots import Stages, good
from tests.workflow.warm import Warm


@pytest.fixture
def reader(postgres: Server, filled_postgres: str) -> Iterator[str]:
    """Give the address of a filled platform for a role without any right on its tables."""
    postgres.sql("mine", f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
    yield postgres.dsn("mine", user="reader")
    postgres.sql("mine", "DROP OWNED BY reader", "DROP ROLE reader")


def test_a_role_that_may_only_read_is_enough(
    tmp_path: Path, snapshot_warm: Warm, reader: str, postgres: Server
) -> None:
    stages = Stages(tmp_path, snapshot_warm, reader)
    error = stages.refused()
    assert error["code"] == "platform_rights", error
    assert PASSWORD not in str(error)
    postgres.sql("mine", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    good(stages.view())


def test_a_file_that_may_only_be_read_is_enough(
    tmp_path: Path, snapshot_warm: Warm, filled_sqlite: Path
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    file = Path(shutil.copy(filled_sqlite, folder / "platform.db"))
    before = file.stat()
    file.chmod(0o444)
    folder.chmod(0o555)
    # root may write anyway: the check that stages make is told that it may not
    refusing = "import os; os.access = lambda path, mode: not mode & os.W_OK"
    good(Stages(tmp_path, snapshot_warm, f"sqlite:///{file}").view(patch=refusing))
    folder.chmod(0o755)
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert [path.name for path in folder.iterdir()] == ["platform.db"]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("sqlite:////nowhere/platform.db", "platform_missing"),
        ("mysql://user@host/x", "platform_unsupported"),
        ("", "no_platform"),
        ("postgresql://tester:WORD@127.0.0.1:1/x", "platform_unreachable"),
        ("wrong password", "platform_login"),
        ("no database", "platform_missing"),
        ("no tables", "platform_revision"),
        ("other revision", "platform_revision"),
    ],
)
def test_what_is_no_platform_is_said_without_the_password(
    address: str, code: str, tmp_path: Path, snapshot_warm: Warm, filled_postgres: str,
    postgres: Server,
) -> None:  # fmt: skip
    if address == "other revision":
        postgres.sql("mine", "UPDATE alembic_version SET version_num = 'abcdef012345'")
    made = {
        "wrong password": postgres.dsn("mine", password="wrong-word"),
        "no database": postgres.dsn("nothing"),
        "no tables": postgres.dsn("postgres"),
        "other revision": filled_postgres,
    }
    dsn = made.get(address, address.replace("WORD", "wrong-word"))
    error = Stages(tmp_path, snapshot_warm, dsn).refused()
    assert error["code"] == code, error
    assert "wrong-word" not in str(error)
    assert PASSWORD not in str(error)
    if address == "other revision":
        assert "abcdef012345" in error["message"]


def test_a_platform_that_goes_away_in_the_middle_is_an_error_and_leaves_nothing(
    tmp_path: Path, snapshot_warm: Warm, filled_postgres: str
) -> None:
    stages = Stages(tmp_path, snapshot_warm, filled_postgres)
    killing = (
        "import os, sqlalchemy as sa, snapshot_facts, snapshot_view\n"
        "def gone(*arguments):\n"
        "    with sa.create_engine(os.environ['JOBRUNNER_PLATFORM_DSN']).connect() as c:\n"
        "        c.execute(sa.text('SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()'))\n"
        "    return export(*arguments)\n"
        "export, snapshot_facts.export = snapshot_facts.export, gone\n"
    )
    killing = killing.replace(", snapshot_view\n", "\n")
    answer = stages.view(patch=killing)
    assert answer.returncode == 1
    assert stages.error["code"] in ("platform_unreachable", "platform_failed"), stages.error
    assert not [path for path in tmp_path.iterdir() if "view" in path.name]
    good(stages.view())
