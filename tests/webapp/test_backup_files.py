"""Configuration in a backup: no secret that was not asked for, nothing newer replaced."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from tests.webapp.backups import Opener, open_services  # noqa: F401
from webapp.backup import backup, restore
from webapp.service import Service

CANARY = "canary-7f3a9c"


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
