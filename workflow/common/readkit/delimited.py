"""Delimited text files (.csv): every cell is text until it is known to be a number."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from stagekit.problems import StageError

from readkit.table import Table
from readkit.unpack import Source

SEPARATORS = (",", ";", "\t")
_HEADER_BYTES = 1 << 20
_BLOCK = 1 << 24


def csv_header(source: Source, scratch: Path, known: Collection[str]) -> list[str]:
    """Give the texts of the header without loading what is below it; see `load_csv`."""
    head = _find_header(_as_utf8(source, scratch), known)
    return head.texts if head else []


def load_csv(source: Source, scratch: Path, known: Collection[str]) -> Table:
    """Load a text file.

    Parameters
    ----------
    source : Source
        A file in UTF-8, or UTF-16 with a byte order mark; separated by comma, semicolon or tab.
    scratch : Path
        A folder for a copy of a file that is not UTF-8 with ordinary line ends.
    known : collection of str
        Column names, in lower case, by which the separator is recognised.

    Returns
    -------
    Table
        All columns are text.

    Raises
    ------
    StageError
        ``wrong_encoding``, ``no_data`` or ``broken_csv``, with the line.
    """
    path = _as_utf8(source, scratch)
    head = _find_header(path, known)
    if head is None:
        raise StageError("no_data", f"{source.name} holds nothing but blank lines.")
    try:
        frame = pl.read_csv(
            path,
            has_header=False,
            infer_schema=False,
            separator=head.separator,
            skip_lines=head.lines_before,
        )
    except pl.exceptions.PolarsError as error:
        raise _broken(path, source.name, head.separator) from error
    return Table(source.name, None, head.row, head.texts, frame.slice(1))


@dataclass(frozen=True)
class _Header:
    row: int  # as a spreadsheet counts
    lines_before: int
    separator: str
    texts: list[str]


def _as_utf8(source: Source, scratch: Path) -> Path:
    """Verify the encoding; copy the file where polars could not read it as it is."""
    with source.path.open("rb") as stream:
        head = stream.read(_BLOCK)
    encoding = "utf-8"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    rewrite = encoding != "utf-8" or (b"\r" in head and b"\n" not in head)
    if not rewrite:
        for _ in _decoded(source, encoding):
            pass
        return source.path
    target = scratch / "utf8.csv"
    with target.open("w", encoding="utf-8", newline="") as copy:
        for text in _decoded(source, encoding):
            copy.write(text if "\n" in text else text.replace("\r", "\n"))
    return target


def _decoded(source: Source, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with source.path.open("rb") as stream:
        for block in iter(lambda: stream.read(_BLOCK), b""):
            try:
                text = decoder.decode(block)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                raise _wrong_encoding(source.name, line, encoding) from error
            line += text.count("\n")
            yield text
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _wrong_encoding(source.name, line, encoding) from error


def _wrong_encoding(name: str, line: int, encoding: str) -> StageError:
    return StageError(
        "wrong_encoding",
        f"{name}: line {line} holds a character that is not {encoding.upper()}. Save the file as "
        "UTF-8 (in Excel: 'CSV UTF-8').",
    )


def _find_header(path: Path, known: Collection[str]) -> _Header | None:
    """Find the first row that is not blank, with the separator that makes most sense of it."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines_before = 0
        line = stream.readline(_HEADER_BYTES)
        while line and not line.strip(' \t\r\n,;"'):
            lines_before += 1
            line = stream.readline(_HEADER_BYTES)
    if not line:
        return None
    csv.field_size_limit(_HEADER_BYTES)

    def texts(separator: str) -> list[str]:
        return [t.strip() for t in next(csv.reader([line], delimiter=separator), [])]

    def sense(separator: str) -> tuple[int, int]:
        found = texts(separator)
        return sum(t.lower() in known for t in found), len(found)

    separator = max(SEPARATORS, key=sense)
    return _Header(lines_before + 1, lines_before, separator, texts(separator))


def _broken(path: Path, name: str, separator: str) -> StageError:
    """Find the row that polars could not read."""
    width = row = 0
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=separator, strict=True)
        try:
            for row, cells in enumerate(reader, start=1):
                if not width and any(cell.strip() for cell in cells):
                    width = len(cells)
                elif width and len(cells) > width:
                    message = (
                        f"{name}: row {row} has {len(cells)} cells, the header only {width}. "
                        f"Put texts that contain {separator!r} in quotation marks."
                    )
                    return StageError("broken_csv", message)
        except csv.Error:
            what = f"a quotation mark is opened and not closed properly after row {row}"
            return StageError("broken_csv", f"{name}: {what}.")
    return StageError("broken_csv", f"{name} cannot be read as a table of text.")
