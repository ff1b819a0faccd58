"""From the submitted file to the one file in it that is read."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stagekit.problems import StageError

from readkit.bounded import Budget, gzip_chunks, member_chunks, open_zip
from readkit.sniff import ACCEPTED, Kind, WrongKind, kind_of

SCRATCH = ".reading-"  # how folders for unpacked copies are called


@dataclass(frozen=True)
class Source:
    """The file that is read.

    Attributes
    ----------
    path : Path
        Where it is; possibly a copy unpacked for the time of reading.
    name : str
        What the submitter calls it; ``x.zip/x.csv`` inside an archive.
    kind : {"xlsx", "xls", "csv", "parquet"}
        By content.
    budget : Budget
        What it may still unpack to.
    """

    path: Path
    name: str
    kind: Kind
    budget: Budget


@contextmanager
def opened(path: Path, scratch: Path, accepted: str = ACCEPTED) -> Iterator[Source]:
    """Unpack `path` as far as needed.

    Parameters
    ----------
    path : Path
        The submitted file.
    scratch : Path
        A folder for unpacked copies, which are gone when the block ends.
    accepted : str
        The kinds of files that the job type reads, for messages.

    Yields
    ------
    Source
        The file to read.

    Raises
    ------
    StageError
        For everything that is no single table; see `kind_of` and `readkit.bounded`.
    """
    if not path.is_file():
        raise StageError("missing_input", f"{path} is not there.")
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=scratch) as folder:
        try:
            source = _unpacked(path, Path(folder))
        except WrongKind as error:
            text = f"{error.message} Accepted are {accepted}."
            raise StageError(error.code, text) from error
        yield source


def _unpacked(path: Path, folder: Path) -> Source:
    budget = Budget(path.name, path.stat().st_size)
    source = Source(path, path.name, kind_of(path, path.name), budget)
    if source.kind == "zip":
        source = _from_zip(source, folder / "member")
    if source.kind == "gzip":
        source = _from_gzip(source, folder / "content")
    return source


def _from_zip(source: Source, target: Path) -> Source:
    with open_zip(source.path, source.name) as archive, source.path.open("rb") as raw:
        member = _only_member(archive, source.name)
        name = f"{source.name}/{member.filename}"
        _write(target, member_chunks(raw, member, source.budget))
    kind = kind_of(target, name)
    if kind == "zip":
        raise WrongKind("nested_archive", f"{name} is an archive inside an archive.")
    return Source(target, name, kind, source.budget)


def _only_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    members = [m for m in archive.infolist() if not m.is_dir() and not _clutter(m.filename)]
    if not members:
        raise WrongKind("empty_archive", f"{name} holds no file.")
    if len(members) > 1:
        listed = ", ".join(m.filename for m in members[:5]) + ("…" if len(members) > 5 else "")
        message = f"{name} holds {len(members)} files ({listed}). Submit an archive of one file."
        raise StageError("several_files", message)
    return members[0]


def _clutter(name: str) -> bool:
    """Say whether a member is what file managers add on their own."""
    base = name.rsplit("/", 1)[-1]
    return name.startswith("__MACOSX/") or base in (".DS_Store", "Thumbs.db", "desktop.ini")


def _from_gzip(source: Source, target: Path) -> Source:
    with source.path.open("rb") as raw:
        _write(target, gzip_chunks(raw, source.budget))
    name = source.name.removesuffix(".gz")
    kind = kind_of(target, name)
    if kind in ("zip", "gzip"):
        raise WrongKind("nested_archive", f"{source.name} is an archive inside an archive.")
    return Source(target, source.name, kind, source.budget)


def _write(target: Path, chunks: Iterable[bytes]) -> None:
    with target.open("wb") as stream:
        for chunk in chunks:
            stream.write(chunk)
