"""The file of a backup; it is believed only if all its checksums are right."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from runner.errors import InvalidInput

FORMAT = 1
MANIFEST = "manifest.json"
_CHUNK = 1 << 20


class DamagedBackup(InvalidInput):
    """A file that is no backup of ours, or was changed since."""

    code = "damaged_backup"


@dataclass(frozen=True)
class Entry:
    """A member: `rows` of a table, `place` of a file that is not in the configuration."""

    name: str
    sha256: str
    bytes: int
    rows: int | None = None
    place: str | None = None


@dataclass
class Manifest:
    """What is in a backup.

    Attributes
    ----------
    version : str
        Of the service that made it.
    revision : str
        Of the tables.
    made : str
        When: the moment whose state it has.
    secrets : bool
        Whether files with secrets are in it.
    left_out : list of str
        Files of the configuration that are not in it.
    """

    version: str
    revision: str
    made: str
    secrets: bool
    entries: list[Entry] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    format: int = FORMAT

    @property
    def tables(self) -> dict[str, Entry]:
        """The entries of tables, by table."""
        found = [entry for entry in self.entries if entry.name.startswith("tables/")]
        return {Path(entry.name).stem: entry for entry in found}

    @property
    def files(self) -> list[Entry]:
        """The entries of files."""
        return [entry for entry in self.entries if not entry.name.startswith("tables/")]

    def as_bytes(self) -> bytes:
        """Give it as JSON."""
        return json.dumps(asdict(self), indent=1).encode()


def add_file(archive: tarfile.TarFile, name: str, path: Path) -> None:
    """Add a file under a name, with its time and permissions, but nobody's name."""
    with path.open("rb") as stream:
        info = archive.gettarinfo(arcname=name, fileobj=stream)
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        archive.addfile(info, stream)


def add_bytes(archive: tarfile.TarFile, name: str, content: bytes, time: float) -> None:
    """Add some bytes under a name."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), 0o600, int(time)
    archive.addfile(info, BytesIO(content))


@contextmanager
def opened(path: Path) -> Iterator[Iterator[tuple[tarfile.TarInfo, IO[bytes]]]]:
    """Give the members of an archive, first to last, each to be read before the next.

    Raises
    ------
    DamagedBackup
        If it cannot be read.
    """
    try:
        with tarfile.open(path, "r|gz") as archive:
            yield _members(archive)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DamagedBackup(f"{path} is no backup, or is damaged: {error}") from error


def verified(path: Path) -> Manifest:
    """Read all of an archive, compare it with its manifest, and give that.

    Raises
    ------
    DamagedBackup
        If anything in it is not as it was written.
    """
    manifest, seen = None, {}
    with opened(path) as members:
        for info, stream in members:
            if manifest is None:
                manifest = _manifest(path, info, stream)
            else:
                seen[info.name] = _digest(stream)
    if manifest is None:
        raise DamagedBackup(f"{path} is empty.")
    wanted = {entry.name: entry.sha256 for entry in manifest.entries}
    if wrong := sorted(n for n in wanted.keys() | seen.keys() if wanted.get(n) != seen.get(n)):
        raise DamagedBackup(f"{path} is damaged: {', '.join(wrong[:5])} is not what was written.")
    return manifest


def _members(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    for info in archive:
        stream = archive.extractfile(info)
        if stream is None:
            raise DamagedBackup(f"{info.name} is no file.")
        yield info, stream


def _manifest(path: Path, info: tarfile.TarInfo, stream: IO[bytes]) -> Manifest:
    try:
        if info.name != MANIFEST:
            raise ValueError("it has no manifest")
        text: dict[str, Any] = json.load(stream)
        if text["format"] != FORMAT:
            raise ValueError(f"it has format {text['format']}, this version reads {FORMAT}")
        entries = [Entry(**entry) for entry in text.pop("entries")]
        return Manifest(**text, entries=entries)
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedBackup(f"{path} is no backup of this service: {error}.") from error


def _digest(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
