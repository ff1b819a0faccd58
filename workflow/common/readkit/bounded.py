"""Decompression that stops: sizes are counted while unpacking, never believed from a header."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from stagekit.problems import StageError

MAX_TOTAL = 4 << 30  # bytes unpacked; a full sheet of a million rows and 60 years needs less
MAX_RATIO = 300  # real workbooks reach 30, deflate ends at 1032
FREE = 64 << 20  # bytes below which the ratio does not matter
CHUNK = 1 << 20
_LOCAL_HEADER = 30  # bytes of a local file header before its name (PKWARE APPNOTE 4.3.7)


@dataclass
class Budget:
    """How much one submitted file may unpack to.

    Attributes
    ----------
    name : str
        The file, for messages.
    packed : int
        Its size in bytes.
    used : int
        Bytes unpacked so far, over all its members.
    """

    name: str
    packed: int
    used: int = 0

    def take(self, count: int) -> None:
        """Count `count` more bytes; raise ``archive_bomb`` beyond the limits."""
        self.used += count
        ratio = self.used / max(self.packed, 1)
        if self.used > MAX_TOTAL or (self.used > FREE and ratio > MAX_RATIO):
            raise StageError(
                "archive_bomb",
                f"{self.name} unpacks to far more than a workbook would: at least "
                f"{self.used >> 20} MB out of {self.packed >> 10} kB. It was not read. "
                "Submit the file uncompressed if it really is this large.",
            )


def damaged(name: str, what: str) -> StageError:
    """Give the error for an archive that does not hold what it says."""
    return StageError(
        "damaged_file",
        f"{name} is damaged or was cut short ({what}). Save or upload it again.",
    )


def open_zip(path: Path, name: str) -> zipfile.ZipFile:
    """Open an archive and refuse what can never be read.

    Raises
    ------
    StageError
        ``damaged_file``, ``encrypted_file`` or ``unsafe_archive`` (links, paths that leave it).
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise damaged(name, "its table of contents is missing or broken") from error
    try:
        for member in archive.infolist():
            _refuse_unsafe(member, name)
    except StageError:
        archive.close()
        raise
    return archive


def _refuse_unsafe(member: zipfile.ZipInfo, name: str) -> None:
    if member.flag_bits & 1:
        message = f"{name} is protected by a password. Submit it without one."
        raise StageError("encrypted_file", message)
    # orig_filename: zipfile itself rewrites separators and cuts names at NUL
    parts = member.orig_filename.replace("\\", "/").split("/")
    drive = len(parts[0]) > 1 and parts[0][1] == ":"
    if ".." in parts or parts[0] == "" or drive or "\0" in member.orig_filename:
        message = f"{name} holds a file with an unsafe path: {member.orig_filename!r}."
        raise StageError("unsafe_archive", message)
    if stat.S_ISLNK(member.external_attr >> 16):
        message = f"{name} holds a link instead of a file: {member.filename!r}."
        raise StageError("unsafe_archive", message)


def member_chunks(raw: BinaryIO, member: zipfile.ZipInfo, budget: Budget) -> Iterator[bytes]:
    """Unpack one member of a zip and verify its size and checksum.

    ``zipfile`` itself stops at the size that the header declares; other readers go on. This one
    unpacks what is there and refuses a member that is not as long as declared.

    Parameters
    ----------
    raw : binary file
        The archive.
    member : zipfile.ZipInfo
        The member.
    budget : Budget
        What may be unpacked.

    Yields
    ------
    bytes
        At most `CHUNK` bytes each.
    """
    size = crc = 0
    for chunk in _unpacked(raw, member, budget.name):
        size += len(chunk)
        crc = zlib.crc32(chunk, crc)
        budget.take(len(chunk))
        yield chunk
    if size != member.file_size or crc != member.CRC:
        raise damaged(budget.name, f"{member.filename} is not as long as declared or was changed")


def _unpacked(raw: BinaryIO, member: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    raw.seek(member.header_offset)
    header = raw.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
        raise damaged(name, f"{member.filename} has no header")
    skip = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    raw.seek(skip, 1)
    left = member.compress_size
    packed = iter(lambda: raw.read(min(CHUNK, left)), b"")
    if member.compress_type == zipfile.ZIP_STORED:
        for piece in packed:
            left -= len(piece)
            yield piece
    elif member.compress_type == zipfile.ZIP_DEFLATED:
        decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
        for piece in packed:
            left -= len(piece)
            yield from _inflate(decompressor, piece, name)
    else:
        message = f"{name} is packed in a way that cannot be read. Pack it as an ordinary zip."
        raise StageError("damaged_file", message)


def _inflate(decompressor: zlib._Decompress, piece: bytes, name: str) -> Iterator[bytes]:
    while piece:
        try:
            yield decompressor.decompress(piece, CHUNK)
        except zlib.error as error:
            raise damaged(name, "its compressed data are broken") from error
        piece = decompressor.unconsumed_tail


def gzip_chunks(raw: BinaryIO, budget: Budget) -> Iterator[bytes]:
    """Unpack a gzip file, of one or several parts, within `budget`."""
    decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
    for piece in iter(lambda: raw.read(CHUNK), b""):
        rest = piece
        while rest:
            if decompressor.eof:
                decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
                rest = rest.lstrip(b"\0")  # padding after the last part is allowed
                if not rest:
                    break
            try:
                chunk = decompressor.decompress(rest, CHUNK)
            except zlib.error as error:
                raise damaged(budget.name, "its compressed data are broken") from error
            budget.take(len(chunk))
            yield chunk
            rest = decompressor.unconsumed_tail or decompressor.unused_data
    if not decompressor.eof:
        raise damaged(budget.name, "its end is missing")
