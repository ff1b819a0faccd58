"""Making a backup while the service works."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runner import __version__
from runner.files import now, room_on_disk, sha256, sync
from webapp import migrate
from webapp.backup import archive, files, tables
from webapp.backup.archive import Entry, Manifest
from webapp.service import Service


@dataclass(frozen=True)
class Saved:
    """What a backup has.

    Attributes
    ----------
    rows : dict of str to int
        How many of each table.
    files : int
        Of the configuration, and with secrets what it refers to.
    left_out : list of str
        Files of the configuration that may have secrets in them.
    """

    path: str
    bytes: int
    rows: dict[str, int]
    files: int
    left_out: list[str]


def backup(service: Service, path: Path, *, with_secrets: bool = False) -> Saved:
    """Write a backup; `path` is whole then, or as it was.

    Parameters
    ----------
    service : Service
        Whose database and configuration; it may be running.
    path : Path
        Where to, readable for its owner only.
    with_secrets : bool
        Take along the files in which secrets are.

    Raises
    ------
    DatabaseAway
        If the database does not answer.
    WrongSchema
        If it has no tables.
    DiskFull
        If there is no room.
    """
    if migrate.current(service.db) is None:
        raise migrate.WrongSchema(
            f"The database {service.db.url.render_as_string(hide_password=True)} has no tables: "
            "there is nothing to back up. Is this the right home (--home)?"
        )
    folder = path.absolute().parent
    with (
        room_on_disk(folder),
        tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=folder) as scratch,
    ):
        parts, manifest = _tables(service, Path(scratch))
        parts += _configuration(service, manifest, with_secrets, Path(scratch, "files"))
        whole = Path(scratch, "whole")
        _write(whole, manifest, parts)
        whole.replace(path)
    sync(folder)
    return Saved(
        path=str(path),
        bytes=path.stat().st_size,
        rows={name: entry.rows or 0 for name, entry in manifest.tables.items()},
        files=len(manifest.files),
        left_out=manifest.left_out,
    )


def _tables(service: Service, scratch: Path) -> tuple[list[Path], Manifest]:
    """Write all tables, as they are at one moment, into files."""
    parts = []
    with tables.one_moment(service.db) as connection:
        manifest = Manifest(__version__, tables.revision_of(connection), now(), secrets=False)
        for table in tables.of_data(tables.reflected(connection)):
            part = scratch / table.name
            entry = _jsonl(part, f"tables/{table.name}.jsonl", tables.lines(connection, table))
            manifest.entries.append(entry)
            parts.append(part)
    return parts, manifest


def _jsonl(part: Path, name: str, lines: Iterable[bytes]) -> Entry:
    digest, size, rows = hashlib.sha256(), 0, 0
    with part.open("xb") as stream:
        for line in lines:
            digest.update(line)
            size, rows = size + len(line), rows + 1
            stream.write(line)
    return Entry(name, digest.hexdigest(), size, rows)


def _configuration(
    service: Service, manifest: Manifest, with_secrets: bool, scratch: Path
) -> list[Path]:
    """Copy what is chosen of the configuration: somebody may edit it while it is packed."""
    config = service.home.path / "config"
    chosen = files.choose(config, with_secrets)
    manifest.secrets = with_secrets
    manifest.left_out = [path.relative_to(config).as_posix() for path in chosen.left_out]
    named = [(f"config/{path.relative_to(config).as_posix()}", path) for path in chosen.inside]
    named += [(f"outside/{number}", path) for number, path in enumerate(chosen.outside)]
    outside, parts = set(chosen.outside), []
    scratch.mkdir()
    for number, (name, path) in enumerate(named):
        part = Path(shutil.copy2(path, scratch / str(number)))
        place = str(path) if path in outside else None
        manifest.entries.append(Entry(name, sha256(part), part.stat().st_size, place=place))
        parts.append(part)
    return parts


def _write(whole: Path, manifest: Manifest, parts: list[Path]) -> None:
    descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=6) as tar:
            archive.add_bytes(tar, archive.MANIFEST, manifest.as_bytes(), time.time())
            for entry, part in zip(manifest.entries, parts, strict=True):
                archive.add_file(tar, entry.name, part)
        stream.flush()
        os.fsync(stream.fileno())
