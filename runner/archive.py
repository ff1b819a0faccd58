"""Folders as a stream: a tar with exact times, and one that can leave nothing where it must not."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from runner.errors import JobRunnerError, UnsafePath

_CHUNK = 256 * 1024
_END = b"\0" * 1024  # how a tar ends
_MTIME = "mtime"


class Changed(JobRunnerError):
    """A file that changed while it was packed: what was sent so far is worth nothing."""

    code = "conflict"
    status = 409


class BrokenArchive(JobRunnerError):
    """A tar that ends too early, or is none."""

    code = "incomplete"
    status = 502


@dataclass(frozen=True)
class Member:
    """A file, folder or link to pack: its path below the packed folder, and where it is."""

    name: str
    path: Path


def members(root: Path, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[Member]:
    """Give what is in a folder: files, folders, and links that stay in it; folders first.

    Parameters
    ----------
    root : Path
        The folder.
    wanted : callable
        Told a path below it; what is not wanted is left out, with all that is in it.
    """
    top = root.resolve()
    for folder, names, files in os.walk(root):
        relative = Path(folder).relative_to(root)
        kept = [name for name in sorted(names) if wanted((relative / name).as_posix())]
        names[:] = [name for name in kept if not Path(folder, name).is_symlink()]
        for name in sorted([*kept, *files]):
            place, path = (relative / name).as_posix(), Path(folder, name)
            if wanted(place) and _packable(path, top):
                yield Member(place, path)


def pack(found: Iterable[Member], prefix: str) -> Iterator[bytes]:
    """Give a tar (PAX) of `found`, below a folder `prefix`, with times to the nanosecond.

    Raises
    ------
    Changed
        If a file becomes shorter, or goes away, meanwhile.
    """
    for member in found:
        try:
            yield from _member(member, prefix)
        except FileNotFoundError as error:
            raise Changed(f"{member.name} went away while it was packed.") from error
    yield _END


def unpack(source: BinaryIO, target: Path, prefix: str) -> None:
    """Write a tar, as `pack` makes it, into a new folder.

    Nothing is written outside of it, no link in it leads out, and devices are refused, whatever
    the tar says.

    Parameters
    ----------
    source : binary file
        Read once, to its end.
    target : Path
        A folder to make.
    prefix : str
        The one folder that the tar has.

    Raises
    ------
    UnsafePath
        If the tar has anything else.
    BrokenArchive
        If it ends too early.
    """
    target.mkdir(parents=True)
    links, folders = [], []
    counted = _Counted(source)
    try:
        with tarfile.open(fileobj=cast(BinaryIO, counted), mode="r|", errorlevel=1) as archive:
            for info in archive:
                path = _place(info, target, prefix)
                path.parent.mkdir(parents=True, exist_ok=True)
                if info.isdir():
                    path.mkdir(exist_ok=True)
                    folders.append((path, info))
                elif info.issym():
                    path.symlink_to(info.linkname)
                    links.append(path)
                else:
                    _write(archive, info, path)
                if not info.isdir():
                    _stamp(path, info)
            counted.drain()
            # tarfile takes the end of the file for that of the tar: a file may be missing then
            if counted.size < archive.offset + len(_END):
                raise BrokenArchive("The archive ends too early.")
    except (tarfile.TarError, EOFError) as error:
        raise BrokenArchive(f"The archive ends too early, or is none: {error}.") from error
    for path in links:
        if not _stays(path, target.resolve()):
            raise UnsafePath(f"{path.name!r} in the archive is a link that leads out of it.")
    for path, info in reversed(folders):
        _stamp(path, info)


class _Counted:
    """What tarfile needs of a stream, and how much of it was read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self.size += len(piece)
        return piece

    def drain(self) -> None:
        while self.read(_CHUNK):
            pass


def _packable(path: Path, top: Path) -> bool:
    if path.is_symlink():
        return not os.path.isabs(os.readlink(path)) and _stays(path, top)
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _stays(link: Path, top: Path) -> bool:
    try:
        return link.resolve().is_relative_to(top)
    except (OSError, RuntimeError):  # a ring of links
        return False


def _member(member: Member, prefix: str) -> Iterator[bytes]:
    state = member.path.lstat()
    if stat.S_ISLNK(state.st_mode):
        yield _header(member, prefix, state, tarfile.SYMTYPE, os.readlink(member.path))
    elif stat.S_ISDIR(state.st_mode):
        yield _header(member, prefix, state, tarfile.DIRTYPE)
    else:
        with member.path.open("rb") as stream:
            state = os.fstat(stream.fileno())
            yield _header(member, prefix, state, tarfile.REGTYPE)
            yield from _content(stream, state.st_size, member.name)


def _header(
    member: Member, prefix: str, state: os.stat_result, kind: bytes, leads: str = ""
) -> bytes:
    info = tarfile.TarInfo(f"{prefix}/{member.name}")
    info.type, info.linkname = kind, leads
    info.size = state.st_size if kind == tarfile.REGTYPE else 0
    info.mode = state.st_mode & 0o777
    seconds, rest = divmod(state.st_mtime_ns, 10**9)
    info.mtime = seconds
    info.pax_headers = {_MTIME: f"{seconds}.{rest:09d}"}  # a float has not enough digits
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _content(stream: BinaryIO, size: int, name: str) -> Iterator[bytes]:
    left = size
    while left:
        piece = stream.read(min(_CHUNK, left))
        if not piece:
            raise Changed(f"{name} became shorter while it was packed.")
        left -= len(piece)
        yield piece
    yield b"\0" * (-size % tarfile.BLOCKSIZE)


def _place(info: tarfile.TarInfo, target: Path, prefix: str) -> Path:
    """Give where a member goes.

    Raises
    ------
    UnsafePath
        If that is not in the folder, or it is neither file, folder nor link.
    """
    parts = PurePosixPath(info.name).parts
    if len(parts) < 2 or parts[0] != prefix or ".." in parts or "\0" in info.name:
        raise UnsafePath(f"{info.name!r} in the archive leads out of {prefix}/.")
    if not (info.isreg() or info.isdir() or info.issym()):
        raise UnsafePath(f"{info.name!r} in the archive is neither file, folder nor link.")
    path = target.joinpath(*parts[1:])
    # a folder on the way that is a link may lead anywhere
    if path.parent.resolve() != target.resolve().joinpath(*parts[1:-1]):
        raise UnsafePath(f"{info.name!r} in the archive goes through a link.")
    if info.issym() and os.path.isabs(info.linkname):
        raise UnsafePath(f"{info.name!r} in the archive is a link that leads out of it.")
    return path


def _write(archive: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> None:
    content = archive.extractfile(info)
    assert content is not None  # it is a file
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as stream:
        shutil.copyfileobj(content, stream, _CHUNK)
        size = stream.tell()
    if size != info.size:
        raise BrokenArchive(f"The archive ends in the middle of {info.name}.")


def _stamp(path: Path, info: tarfile.TarInfo) -> None:
    if not info.issym():
        path.chmod(info.mode & 0o777 | 0o600 | (0o100 if info.isdir() else 0))
    seconds, _, rest = info.pax_headers.get(_MTIME, str(int(info.mtime))).partition(".")
    moment = int(seconds) * 10**9 + int(rest[:9].ljust(9, "0") or 0)
    os.utime(path, ns=(moment, moment), follow_symlinks=False)
