"""What a restore refuses: it brings all back, or touches nothing."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.webapp.backups import KINDS, Opener, fill, of_data, open_services  # noqa: F401
from tests.webapp.worlds import add_worker, trivial
from webapp import jobs, tokens
from webapp.backup import backup, restore
from webapp.backup.archive import DamagedBackup
from webapp.jobs import Conflict
from webapp.lease import lease


def test_it_refuses_what_is_not_empty_unless_all_is_to_be_replaced(
    opener: Opener, tmp_path: Path
) -> None:
    old, new = opener("sqlite"), opener("sqlite")
    fill(old)
    backup(old, tmp_path / "backup.tar.gz")
    with new.db.write() as session:
        tokens.create(session, name="joe", role="admin")
    with pytest.raises(Conflict, match=r"not empty.*--replace"):
        restore(new, tmp_path / "backup.tar.gz")
    restore(new, tmp_path / "backup.tar.gz", replace=True, send_waiting=True)
    assert of_data(new) == of_data(old)


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
    fill(old)
    (old.home.path / "config" / "instances" / "third.yaml").write_text("profile: plain\n")
    backup(old, tmp_path / "backup.tar.gz")
    jobs.submit(new, trivial())
    before, config = of_data(new), sorted((new.home.path / "config").rglob("*"))

    def fail(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("webapp.backup.tables.go_on_counting", fail)
    with pytest.raises(RuntimeError, match="no"):
        restore(new, tmp_path / "backup.tar.gz", replace=True)
    assert of_data(new) == before
    assert sorted((new.home.path / "config").rglob("*")) == config
    assert not list(new.home.path.glob(".restore-*"))


def test_a_damaged_backup_is_refused_before_anything_is_touched(
    opener: Opener, tmp_path: Path
) -> None:
    old, new = opener("sqlite"), opener("sqlite")
    fill(old)
    path = tmp_path / "backup.tar.gz"
    backup(old, path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"PK" + whole[2:], _with_other_rows(path)):
        path.write_bytes(content)
        with pytest.raises(DamagedBackup):
            restore(new, path)
    assert all(not rows for name, rows in of_data(new).items() if name != "schema_notes")


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
