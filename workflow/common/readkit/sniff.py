"""What a file is, by its content; its name is only asked where the content leaves a doubt."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from stagekit.problems import StageError

from readkit.bounded import open_zip

Kind = Literal["xlsx", "xls", "csv", "gzip", "zip", "parquet"]

SAMPLE = 1 << 16
ACCEPTED = "xlsx, xls, csv, csv.gz, parquet, or a zip of one of these"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLD_EXCEL = (b"\x09\x00\x04\x00", b"\x09\x02\x06\x00", b"\x09\x04\x06\x00")  # BIFF 2, 3 and 4
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_NEVER_TEXT = (".xlsx", ".xls", ".xlsm", ".parquet", ".zip", ".gz")


def kind_of(path: Path, name: str) -> Kind:
    """Say what kind of file this is.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        What the submitter calls it.

    Returns
    -------
    {"xlsx", "xls", "csv", "gzip", "zip", "parquet"}

    Raises
    ------
    WrongKind
        ``not_a_workbook``.
    StageError
        ``empty_file``, ``too_old``, ``encrypted_file`` or one of `open_zip`.
    """
    with path.open("rb") as stream:
        head = stream.read(SAMPLE)
    if not head:
        raise StageError("empty_file", f"{name} is empty (0 bytes). Save or upload it again.")
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return _kind_of_zip(path, name)
    if head.startswith(_OLE):
        return _kind_of_ole(path, name)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(_OLD_EXCEL):
        message = f"{name} was written by Excel 4 or older. Save it as an .xlsx workbook."
        raise StageError("too_old", message)
    return _kind_of_text(head, name)


class WrongKind(StageError):
    """A file of a kind that is not read; its message is to be followed by the kinds that are."""


def _refuse(name: str, what: str) -> StageError:
    return WrongKind("not_a_workbook", f"{name} {what}.")


def _kind_of_text(head: bytes, name: str) -> Kind:
    plain = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if plain.startswith((b"<html", b"<!doctype", b"<table", b"<?xml")):
        what = "is a web page or XML file, whatever its name says: open it and save it as .xlsx"
        raise _refuse(name, what)
    binary = b"\0" in head and not head.startswith(_UTF16)
    suffix = next((s for s in _NEVER_TEXT if name.lower().endswith(s)), None)
    if binary or plain.startswith((b"%pdf", b"{\\rtf")):
        raise _refuse(name, "is not a workbook and not a table of text")
    if suffix:
        what = f"is called {suffix} but holds plain text: save it as what its name says, or as .csv"
        raise _refuse(name, what)
    return "csv"


def _kind_of_zip(path: Path, name: str) -> Kind:
    with open_zip(path, name) as archive:
        names = {member.filename.lower() for member in archive.infolist()}
        kind = _mimetype(archive)
    if "xl/workbook.bin" in names:
        raise _refuse(name, "is a binary workbook (.xlsb): save it as .xlsx")
    if kind:
        raise _refuse(name, f"is a document of another program ({kind}): save it as .xlsx")
    if "[content_types].xml" in names:
        if any(n.startswith("xl/") for n in names):
            return "xlsx"
        raise _refuse(name, "is an Office document without sheets")
    if name.lower().endswith((".xlsx", ".xls", ".xlsm")):
        raise _refuse(name, "is an archive, but no workbook")
    return "zip"


def _mimetype(archive: zipfile.ZipFile) -> str:
    """Give the document type that OpenDocument files name in their first, stored member."""
    first = next(iter(archive.infolist()), None)
    if first is None or first.filename != "mimetype" or first.file_size > 200:
        return ""
    with archive.open(first) as stream:
        return stream.read(200).decode("ascii", "replace")


def _kind_of_ole(path: Path, name: str) -> Kind:
    found: set[str] = set()
    wanted = {n: n.encode("utf-16-le") for n in ("EncryptedPackage", "Workbook", "Book")}
    tail = b""
    with path.open("rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            window = tail + piece
            found |= {n for n, needle in wanted.items() if needle in window}
            tail = piece[-64:]
    if "EncryptedPackage" in found:
        message = f"{name} is protected by a password. Save it without one."
        raise StageError("encrypted_file", message)
    if not found:
        raise _refuse(name, "is an Office document, but no workbook")
    return "xls"
