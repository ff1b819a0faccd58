"""A backup of a configuration that somebody edits meanwhile, or that has odd files in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.webapp.worlds import make_home, open_service
from webapp.backup import backup, restore, save
from webapp.backup.archive import Manifest
from webapp.migrate import WrongSchema
from webapp.service import Service


@pytest.fixture
def service(new_database_url: Callable[..., str], tmp_path: Path) -> Service:
    make_home(tmp_path / "home")
    return open_service(tmp_path / "home", new_database_url("sqlite", True))


@pytest.fixture
def new(new_database_url: Callable[..., str], tmp_path: Path) -> Service:
    return open_service(tmp_path / "new", new_database_url("sqlite", False))


def test_a_file_that_is_edited_meanwhile_does_not_damage_it(
    service: Service, new: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, write = service.home.path / "config" / "edited.yaml", save._write

    def edited(whole: Path, manifest: Manifest, parts: list[Path]) -> None:
        file.write_text("after: it was chosen, and longer\n")
        write(whole, manifest, parts)

    file.write_text("before: it\n")
    monkeypatch.setattr(save, "_write", edited)
    backup(service, tmp_path / "backup.tar.gz")
    restore(new, tmp_path / "backup.tar.gz")
    assert (new.home.path / "config" / "edited.yaml").read_text() == "before: it\n"


def test_two_names_of_one_file_do_not_damage_it(
    service: Service, new: Service, tmp_path: Path
) -> None:
    config = service.home.path / "config"
    (config / "one.yaml").write_text("a: 1\n")
    os.link(config / "one.yaml", config / "two.yaml")
    backup(service, tmp_path / "backup.tar.gz")
    restore(new, tmp_path / "backup.tar.gz")
    for name in ("one.yaml", "two.yaml"):
        assert (new.home.path / "config" / name).read_text() == "a: 1\n"


def test_a_secret_is_at_no_time_readable_for_others_when_it_comes_back(
    service: Service, new: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = service.home.path / "config" / "key"
    secret.write_text("a secret\n")
    secret.chmod(0o600)
    backup(service, tmp_path / "backup.tar.gz", with_secrets=True)
    modes, copystat = [], shutil.copystat

    def looked_at(source: Path, target: Path, **options: bool) -> None:
        if "key" in Path(target).name:
            modes.append(Path(target).stat().st_mode & 0o777)
        copystat(source, target, **options)

    monkeypatch.setattr(shutil, "copystat", looked_at)
    restore(new, tmp_path / "backup.tar.gz")
    assert modes == [0o600]
    assert (new.home.path / "config" / "key").stat().st_mode & 0o777 == 0o600


def test_without_tables_it_says_so(new: Service, tmp_path: Path) -> None:
    with pytest.raises(WrongSchema, match="no tables"):
        backup(new, tmp_path / "backup.tar.gz")
    assert not (tmp_path / "backup.tar.gz").exists()
