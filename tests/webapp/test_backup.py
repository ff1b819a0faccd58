"""`jobrunner backup` and `restore`: every row comes back, on either database."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, text

from tests.webapp.backups import KINDS, Opener, delivery, fill, of_data, open_services  # noqa: F401
from tests.webapp.tables import everything
from webapp import migrate
from webapp.backup import backup, restore
from webapp.models import Delivery


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", KINDS)
def test_every_row_comes_back_on_either_database(
    opener: Opener, source: str, target: str, tmp_path: Path
) -> None:
    old = opener(source)
    fill(old)
    saved = backup(old, tmp_path / "backup.tar.gz")
    assert saved.rows["jobs"] == 3
    new = opener(target, tables=False)
    done = restore(new, tmp_path / "backup.tar.gz", send_waiting=True)
    assert done.rows == saved.rows
    assert of_data(new) == of_data(old)
    with new.db.read() as session:  # null is NULL, not the JSON value
        assert session.scalar(text("SELECT count(*) FROM jobs WHERE error IS NULL")) == 2
    with new.db.write() as session:
        found = delivery("one more", "waiting")
        session.add(found)
        session.flush()
        assert found.id == 4, "numbers go on where they were"
    migrate.check(new.db)


def test_what_waited_to_be_sent_is_not_sent_again(opener: Opener, tmp_path: Path) -> None:
    old = opener("sqlite")
    fill(old)
    backup(old, tmp_path / "backup.tar.gz")
    new = opener("sqlite", tables=False)
    assert restore(new, tmp_path / "backup.tar.gz").given_up == 1
    with new.db.read() as session:
        states = session.scalars(select(Delivery.state).order_by(Delivery.id)).all()
    assert states == ["delivered", "given_up", "given_up"]


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
