"""What calamine does not tell about an .xlsx: formulas without values, error cells, positions.

Layout of the parts: ECMA-376 part 1, SpreadsheetML; namespaces and prefixes vary between writers.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from posixpath import join, normpath
from typing import Literal
from xml.etree import ElementTree

from readkit.bounded import Budget, damaged, member_chunks, open_zip

_OVERLAP = 16  # longer than any of the marks below
_MARKS = {"error": b't="e"', "boolean": b't="b"', "formula": b"<f"}  # each costs a pass
_FORMULA = re.compile(rb"<f[ />]")  # and not <formula> of a conditional format
_ENDS = (b"</v>", b"</is>")
_UNUSUAL = re.compile(rb"^\xff\xfe|^\xfe\xff|<\w+:row\b|<(?:row|c)\b[^>]*'")
_FIRST_ROW = re.compile(rb"<(?:\w+:)?row\b([^>]*[^/])>(.*?)</(?:\w+:)?row>", re.DOTALL)
_ROW_NUMBER = re.compile(rb"""\br=["'](\d+)["']""")
_CONTENT = re.compile(rb"<(?:\w+:)?(?:v|is)[ />]")


@dataclass(frozen=True)
class Marks:
    """What was seen while a sheet was unpacked.

    Attributes
    ----------
    seen : frozenset of {"error", "boolean", "formula"}
        Kinds of cells that need a closer look.
    starts_at_one : bool
        True if the first row with a cell in it is known to be row 1.
    cells : int
        How many cells have a value.
    """

    seen: frozenset[str]
    starts_at_one: bool
    cells: int


@dataclass(frozen=True)
class OddCell:
    """A cell that holds an error, or a formula whose value was not stored.

    Attributes
    ----------
    row : int
        From 1.
    column : int
        From 0.
    kind : {"error", "formula"}
        What it is.
    text : str
        ``#N/A``, … for an error.
    """

    row: int
    column: int
    kind: Literal["error", "formula"]
    text: str


def verify(path: Path, budget: Budget) -> None:
    """Unpack the whole workbook once, within `budget`, before anything less careful does.

    Raises
    ------
    StageError
        If it is damaged, protected, or unpacks to far too much.
    """
    with open_zip(path, budget.name) as archive, path.open("rb") as raw:
        for member in archive.infolist():
            for _ in _without_entities(member_chunks(raw, member, budget), budget.name):
                pass


def inspect(path: Path, budget: Budget) -> dict[str, Marks]:
    """Look for marks in the sheets of a workbook that was verified.

    Returns
    -------
    dict
        For the path of each part that may be a sheet, what was seen.
    """
    marks = {}
    with open_zip(path, budget.name) as archive, path.open("rb") as raw:
        for member in archive.infolist():
            name = member.filename.lower()
            if name.endswith(".xml") and "sheet" in name:
                marks[member.filename] = _marks(member_chunks(raw, member, budget))
    return marks


def _without_entities(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Refuse parts that define entities, which could expand without end; workbooks have none."""
    for number, chunk in enumerate(chunks):
        if number == 0 and b"<!DOCTYPE" in chunk:
            raise damaged(name, "it holds a document type definition, as no workbook does")
        yield chunk


def _marks(chunks: Iterator[bytes]) -> Marks:
    seen: set[str] = set()
    tail = start = b""
    cells = 0
    for chunk in chunks:
        start = start or chunk
        window = tail + chunk
        for kind, needle in _MARKS.items():
            if kind in seen or needle not in window:
                continue
            if kind != "formula" or _FORMULA.search(window):
                seen.add(kind)
        for end in _ENDS:  # an end cut in two is seen with the tail of the chunk before
            cells += chunk.count(end) + (tail[1 - len(end) :] + chunk[: len(end) - 1]).count(end)
        tail = chunk[-_OVERLAP:]
    if _UNUSUAL.search(start):  # UTF-16, prefixes, single quotes: the marks cannot be seen
        seen = set(_MARKS)
    return Marks(frozenset(seen), _starts_at_one(start), cells)


def _starts_at_one(start: bytes) -> bool:
    for row in _FIRST_ROW.finditer(start):
        if _CONTENT.search(row.group(2)):
            number = _ROW_NUMBER.search(row.group(1))
            return number is not None and number.group(1) == b"1"
    return False


def sheet_parts(path: Path, name: str) -> dict[str, str]:
    """Give the path of the part of each sheet, by the sheet's name."""
    with open_zip(path, name) as archive:
        members = {member.lower(): member for member in archive.namelist()}
        try:
            book = _xml(archive, members["xl/workbook.xml"])
            links = _xml(archive, members["xl/_rels/workbook.xml.rels"])
        except (KeyError, ElementTree.ParseError, zipfile.BadZipFile) as error:
            raise damaged(name, "its list of sheets is missing or broken") from error
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    parts = {}
    for sheet in book.iter():
        if _local(sheet.tag) == "sheet":
            link = next((v for k, v in sheet.attrib.items() if _local(k) == "id"), None)
            part = normpath(join("/xl", targets.get(link, ""))).lstrip("/")
            parts[sheet.get("name", "")] = members.get(part.lower(), part)
    return parts


def _xml(archive: zipfile.ZipFile, member: str) -> ElementTree.Element:
    with archive.open(member) as stream:
        return ElementTree.parse(stream).getroot()  # noqa: S314 (see _without_entities)


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


def odd_cells(path: Path, part: str, name: str) -> Iterator[OddCell]:
    """Look at each cell of a sheet; slow, so only where marks were seen.

    Parameters
    ----------
    path : Path
        The workbook, already found to be of bearable size.
    part : str
        Path of the sheet inside it.
    name : str
        The file, for messages.

    Yields
    ------
    OddCell
        In the order of the sheet.
    """
    row = column = 0
    rows: ElementTree.Element | None = None
    try:
        with zipfile.ZipFile(path) as archive, archive.open(part) as stream:
            events = ElementTree.iterparse(stream, ("start", "end"))  # noqa: S314 (no entities)
            for event, element in events:
                tag = _local(element.tag)
                if event == "start" and tag == "sheetData":
                    rows = element
                elif event == "start" and tag == "row":
                    row, column = int(element.get("r") or row + 1), -1
                elif event == "end" and tag == "c":
                    column = _column(element.get("r", "")) if element.get("r") else column + 1
                    if odd := _odd(element, row, column):
                        yield odd
                elif event == "end" and tag == "row" and rows is not None:
                    rows.clear()  # or the whole sheet stays in memory
    except (ElementTree.ParseError, KeyError, zipfile.BadZipFile, ValueError) as error:
        raise damaged(name, f"{part} cannot be read") from error


def _odd(cell: ElementTree.Element, row: int, column: int) -> OddCell | None:
    kind = cell.get("t")
    children = {_local(child.tag): child.text or "" for child in cell}
    if kind == "e":
        return OddCell(row, column, "error", children.get("v", "") or "#ERROR")
    # a formula whose result is an empty text has t="str" and an empty value
    if "f" in children and not children.get("v") and not (kind == "str" and "v" in children):
        return OddCell(row, column, "formula", "=" + children["f"])
    return None


def _column(reference: str) -> int:
    number = 0
    for character in reference.upper():
        if not character.isalpha():
            break
        number = number * 26 + ord(character) - ord("A") + 1
    return number - 1
