"""Files that are whole or not there, checksums, and names that stay where they belong."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from runner.errors import DiskFull, UnsafePath

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast
_CHUNK = 1 << 20
_SAFE_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


@contextmanager
def room_on_disk(where: Path) -> Iterator[None]:
    """Turn the system's word for a full disk, or a used-up quota, into ours.

    Raises
    ------
    DiskFull
        If the block fails for want of space.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(where) from error
        raise


def now() -> str:
    """Give the time as RFC 3339 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """Write `path` whole: a temporary file beside it, synced, then renamed over it.

    Raises
    ------
    OSError
        If it cannot be written; `path` is then as it was.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Have a file, or a folder's list of names, on the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, document: Any) -> None:
    """Write `document` as JSON, whole."""
    with atomic(path) as stream:
        stream.write(json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n")


def write_yaml(path: Path, document: Any) -> None:
    """Write `document` as YAML, whole, keys in the order given."""
    with atomic(path) as stream:
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
        stream.write(text.encode())


def read_yaml(path: Path) -> Any:
    """Read a YAML document.

    Raises
    ------
    OSError, yaml.YAMLError
        If it is not there, or none.
    """
    with path.open("rb") as stream:
        return yaml.load(stream, Loader=_LOADER)  # noqa: S506 - a safe one


def read_json(path: Path) -> Any:
    """Read a JSON document."""
    return json.loads(path.read_text(encoding="utf-8"))


def sha256(path: Path) -> str:
    """Give the SHA-256 of a file's content in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def copy_checksummed(source: BinaryIO, target: Path, limit: int | None = None) -> tuple[int, str]:
    """Stream `source` into `target`, counting and hashing on the way.

    Parameters
    ----------
    source : binary file
        Read to its end in pieces; never held in memory as a whole.
    target : Path
        Written whole or not at all.
    limit : int, optional
        Largest size in bytes.

    Returns
    -------
    tuple of (int, str)
        Bytes written and their SHA-256.

    Raises
    ------
    OverflowError
        If `source` has more than `limit` bytes.
    """
    digest, size = hashlib.sha256(), 0
    with atomic(target) as stream:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if limit is not None and size > limit:
                raise OverflowError(size)
            digest.update(chunk)
            stream.write(chunk)
    return size, digest.hexdigest()


def safe_label(label: str, what: str) -> str:
    """Give `label` back if it can name a folder.

    Raises
    ------
    UnsafePath
        If it has a slash, leading dot, blank or other character that a folder name must not have.
    """
    if not _SAFE_LABEL.fullmatch(label):
        raise UnsafePath(
            f"{what} {label!r} is no usable name: letters, digits and . _ + - only, "
            "beginning with a letter or digit, at most 100."
        )
    return label


def safe_filename(name: str) -> str:
    """Turn a submitted file's name into one that is harmless in a path, a shell and a Snakefile.

    Raises
    ------
    UnsafePath
        If nothing usable is left.
    """
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = re.sub(r"[^\w.+-]", "_", base, flags=re.ASCII).lstrip(".-")[-120:].lstrip(".-")
    if not kept.strip("_."):
        raise UnsafePath(f"The file name {name!r} has no usable character.")
    return kept


def inside(folder: Path, relative: str | os.PathLike[str]) -> Path:
    """Give the path of `relative` in `folder`, links resolved.

    Raises
    ------
    UnsafePath
        If it leads out of `folder`, by ``..``, an absolute path or a link.
    """
    root = folder.resolve()
    path = (root / relative).resolve()
    if path != root and root not in path.parents:
        raise UnsafePath(f"{os.fspath(relative)!r} leads out of the job directory.")
    return path
