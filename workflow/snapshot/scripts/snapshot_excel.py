"""Workbooks: the timeseries as IAMC users know them, and the meta indicators."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import snapshot_wide
import xlsxwriter
from snapshot_chunks import Chunk, Group, View
from snapshot_fits import ROWS, check_columns
from snapshot_formats import Writer
from snapshot_indicators import table
from stagekit.problems import StageError

OPTIONS = {
    "constant_memory": True,  # rows go to a file at once
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


class _Exact(xlsxwriter.worksheet.Worksheet):  # type: ignore[misc]
    """A sheet whose numbers are read as exactly those that were written.

    XlsxWriter itself writes 16 digits, as programs show them; a double may need 17.
    """

    def _xml_number_element(
        self, number: float, attributes: Iterable[tuple[str, str]] = ()
    ) -> None:
        text = "".join(f' {key}="{value}"' for key, value in attributes)
        self.fh.write(f"<c{text}><v>{number!r}</v></c>")


class Xlsx(Writer):
    """Sheet ``data`` with a column per year, ``data_datetime`` per time, and ``meta``."""

    def __init__(self, folder: Path, group: Group, view: View) -> None:
        super().__init__(folder, group, view)
        self._name, self._rows = f"{group.stem}.xlsx", 0
        self._book = open_workbook(folder / self._name, view)
        self._sheets = [
            _Sheet(self._book, group, view, kind, name)
            for kind, name in (("year", "data"), ("time", "data_datetime"))
            if len(view.steps(group, kind))
        ]

    def write(self, chunk: Chunk) -> None:
        """Add some datapoints."""
        for sheet in self._sheets:
            sheet.write(chunk)

    def close(self) -> Iterable[tuple[str, int]]:
        """Add the indicators and end the file."""
        add_sheet(self._book, "meta", *table(self.view, self.group.runs))
        close_workbook(self._book)
        return [(self._name, sum(sheet.rows for sheet in self._sheets))]


class _Sheet:
    def __init__(self, book: Any, group: Group, view: View, kind: str, name: str) -> None:
        self._kind, self._steps = kind, view.steps(group, kind)
        self._labels = snapshot_wide.labels(view, kind)
        header = [*self._labels.values(), *snapshot_wide.titles(self._steps)]
        check_columns(len(header), group.stem)
        self._sheet, self.rows = book.add_worksheet(name, _Exact), 0
        for column, title in enumerate(header):
            number = kind == "year" and column >= len(self._labels)
            write = self._sheet.write_number if number else self._sheet.write_string
            write(0, column, int(title) if number else title)

    def write(self, chunk: Chunk) -> None:
        for frame in snapshot_wide.rows(chunk, self._kind, self._steps, list(self._labels)):
            for row in frame.iter_rows():
                self.rows += 1
                if self.rows >= ROWS:
                    message = f"/params/formats: there are more rows than a sheet has ({ROWS:,})."
                    raise StageError("too_large_for_xlsx", message)
                write_row(self._sheet, self.rows, row)


def open_workbook(path: Path, view: View) -> Any:
    """Begin a workbook; what does not fit into memory goes into the folder of the file."""
    book = xlsxwriter.Workbook(str(path), {**OPTIONS, "tmpdir": str(path.parent)})
    # the same view gives the same bytes, whenever it is written
    book.set_properties({"created": datetime.fromisoformat(view.about["time"])})
    return book


def close_workbook(book: Any) -> None:
    """Write a workbook's file.

    Raises
    ------
    OSError
        If that fails; XlsxWriter has an exception of its own for it.
    """
    try:
        book.close()
    except xlsxwriter.exceptions.FileCreateError as error:
        cause = error.args[0] if error.args else error
        raise cause if isinstance(cause, OSError) else OSError(str(error)) from error


def add_sheet(book: Any, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Add a sheet of a small table."""
    sheet = book.add_worksheet(name, _Exact)
    for number, row in enumerate([header, *rows]):
        write_row(sheet, number, row)


def write_row(sheet: Any, number: int, row: Sequence[Any]) -> None:
    """Write a row; what is None stays empty, and text stays text whatever it looks like."""
    for column, value in enumerate(row):
        if value is None:
            continue
        if isinstance(value, bool):
            sheet.write_boolean(number, column, value)
        elif isinstance(value, (int, float)):
            sheet.write_number(number, column, value)
        else:
            sheet.write_string(number, column, value)
