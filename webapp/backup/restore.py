"""Putting a backup back: into an empty database, of either kind, all of it or nothing."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, update

from runner.files import inside, now, room_on_disk, sha256
from webapp import migrate, pools
from webapp.backup import archive, tables
from webapp.backup.archive import DamagedBackup, Entry, Manifest
from webapp.jobs import Conflict
from webapp.lease import lease
from webapp.models import Delivery
from webapp.service import Service

_LEASE = "notifier"  # one of the processes of a service that works has it


@dataclass
class Restored:
    """What was put back.

    Attributes
    ----------
    made, version, revision : str
        Of the backup.
    rows : dict of str to int
        How many of each table.
    given_up : int
        Notices that waited at the time of the backup, and may have been sent since.
    files : list of str
        Written.
    kept : list of str
        Files that were changed since the backup and stay as they are.
    left_out : list of str
        Files that the backup has not: they may have secrets in them.
    """

    made: str
    version: str
    revision: str
    rows: dict[str, int] = field(default_factory=dict)
    given_up: int = 0
    files: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def restore(
    service: Service, path: Path, *, replace: bool = False, send_waiting: bool = False
) -> Restored:
    """Put a backup back. Nothing else may work with the database meanwhile.

    Parameters
    ----------
    service : Service
        Whose database and home.
    path : Path
        The backup.
    replace : bool
        Also where something is: all tables go, and newer files of the configuration.
    send_waiting : bool
        Send what waited to be sent: only if the service has not worked since the backup.

    Raises
    ------
    DamagedBackup
        If it is not as it was written.
    Conflict
        If there is something in the database, or a worker lives.
    WrongSchema
        If a newer version has made it.
    """
    manifest = archive.verified(path)
    migrate.check_known(manifest.revision)
    service.home.path.mkdir(parents=True, exist_ok=True)
    with lease(service.home.path, _LEASE) as alone:
        if not alone:
            raise Conflict(
                "A web server or worker of this home is running. Stop the service first."
            )
        _refuse_if_in_use(service, replace)
        return _restore(service, path, manifest, replace, send_waiting)


def _restore(
    service: Service, path: Path, manifest: Manifest, replace: bool, send_waiting: bool
) -> Restored:
    done = Restored(manifest.made, manifest.version, manifest.revision)
    done.left_out = manifest.left_out
    with (
        room_on_disk(service.home.path),
        tempfile.TemporaryDirectory(prefix=".restore-", dir=service.home.path) as scratch,
    ):
        staged = _Staged(service.home.path, Path(scratch))
        with service.db.changing_tables() as connection:
            _fill(connection, path, manifest, staged.take)
            done.rows = {name: entry.rows or 0 for name, entry in manifest.tables.items()}
            if not send_waiting:
                done.given_up = _give_up(connection)
        staged.place(manifest, done, replace)
    return done


def _refuse_if_in_use(service: Service, replace: bool) -> None:
    if migrate.current(service.db) is None:
        return
    with service.db.read() as session:
        if alive := pools.living(session, service.settings):
            names = ", ".join(worker.id for worker in alive[:5])
            raise Conflict(f"Workers are alive: {names}. Stop the service first.")
    if not replace and not tables.is_empty(service.db):
        raise Conflict(
            "The database is not empty. Name another one (JOBRUNNER_DATABASE_URL), or have all "
            "that is in it replaced: --replace."
        )


def _fill(
    connection: Connection,
    path: Path,
    manifest: Manifest,
    take: Callable[[Entry, tarfile.TarInfo, IO[bytes]], None],
) -> None:
    """Make the tables of the backup's revision, fill them, and bring them to ours."""
    tables.drop(connection)
    migrate.apply(connection, manifest.revision)
    metadata = tables.reflected(connection)
    entries = {entry.name: entry for entry in manifest.entries}
    waiting = {table.name for table in tables.of_data(metadata)}
    with archive.opened(path) as members:
        for info, stream in members:
            entry = entries.get(info.name)
            if entry is None:
                continue  # the manifest
            if entry.rows is None:
                take(entry, info, stream)
                continue
            name = Path(entry.name).stem
            if name not in waiting:
                raise DamagedBackup(f"Tables of revision {manifest.revision} have no {name}.")
            if tables.fill(connection, metadata.tables[name], stream) != entry.rows:
                raise DamagedBackup(f"{path} has not as many rows of {name} as it says.")
    tables.go_on_counting(connection, metadata)
    migrate.apply(connection)


def _give_up(connection: Connection) -> int:
    """Not send what waited: it may have arrived between the backup and the loss."""
    waiting = update(Delivery).where(Delivery.state == "waiting")
    return connection.execute(waiting.values(state="given_up", finished=now())).rowcount


class _Staged:
    """Files of the backup, beside their places until the database is there."""

    def __init__(self, home: Path, scratch: Path) -> None:
        self._config = home / "config"
        self._scratch = scratch
        self._found: dict[str, Path] = {}

    def take(self, entry: Entry, info: tarfile.TarInfo, stream: IO[bytes]) -> None:
        """Write a file of the backup, with its time and permissions."""
        path = self._scratch / str(len(self._found))
        with path.open("xb") as target:
            shutil.copyfileobj(stream, target)
        path.chmod(info.mode & 0o777)
        os.utime(path, (info.mtime, info.mtime))
        self._found[entry.name] = path

    def place(self, manifest: Manifest, done: Restored, replace: bool) -> None:
        """Move them to their places; what was changed since stays, unless `replace`."""
        self._config.mkdir(exist_ok=True)
        for entry in manifest.files:
            place = self._place(entry)
            staged = self._found[entry.name]
            if place.is_file() and sha256(place) == entry.sha256:
                continue
            if place.exists() and not replace and place.stat().st_mtime > staged.stat().st_mtime:
                done.kept.append(str(place))
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            draft = place.with_name(f".{place.name}.restored")
            draft.unlink(missing_ok=True)
            draft.touch(0o600, exist_ok=False)  # there may be a secret in it
            shutil.copy2(staged, draft)
            draft.replace(place)
            done.files.append(str(place))

    def _place(self, entry: Entry) -> Path:
        if entry.place is not None:
            return Path(entry.place)
        return inside(self._config, entry.name.removeprefix("config/"))
