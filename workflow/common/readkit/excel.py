"""Sheets of .xlsx and .xls workbooks, through calamine (fastexcel)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Literal, TypeVar

import fastexcel
import polars as pl
from stagekit.problems import StageError
from stagekit.tables import letters

from readkit.bounded import damaged
from readkit.table import Reload, Table
from readkit.unpack import Source
from readkit.xlsx_parts import Marks, OddCell, inspect, odd_cells, sheet_parts, verify

HEADER_WITHIN = 100  # rows in which the header must be
_SUFFIXED = re.compile(r"^(.*)_\d+$")
_T = TypeVar("_T")

logging.getLogger("fastexcel").setLevel(logging.ERROR)  # it warns about every empty column


class Workbook:
    """A workbook whose sheets can be listed and loaded.

    Parameters
    ----------
    source : Source
        An .xlsx or .xls file.

    Raises
    ------
    StageError
        If it is damaged, protected, or unpacks to far too much.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._is_xlsx = source.kind == "xlsx"
        self._marks: Future[dict[str, Marks]] | None = None
        self._parts: dict[str, str] = {}
        if self._is_xlsx:
            verify(source.path, source.budget)
            # beside calamine, which leaves the interpreter to others while it works
            pool, again = ThreadPoolExecutor(1), replace(source.budget, used=0)
            self._marks = pool.submit(inspect, source.path, again)
            pool.shutdown(wait=False)
            self._parts = sheet_parts(source.path, source.name)
        self._reader = self._calamine(lambda: fastexcel.read_excel(str(source.path)))
        self.sheets: list[str] = list(self._reader.sheet_names)

    def _calamine(self, work: Callable[[], _T]) -> _T:
        """Run something that may meet a damaged file, also one that makes calamine panic."""
        name = self._source.name
        try:
            return work()
        except fastexcel.FastExcelError as error:
            if "password" in str(error).lower() or "encrypt" in str(error).lower():
                message = f"{name} is protected by a password. Save it without one."
                raise StageError("encrypted_file", message) from error
            raise damaged(name, str(error).splitlines()[0]) from error
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            raise damaged(name, "its structure is broken") from error

    def _marks_of(self, sheet: str) -> Marks:
        everything = Marks(frozenset({"error", "boolean", "formula"}), False, 0)
        marks = self._marks.result() if self._marks is not None else {}
        return marks.get(self._parts.get(sheet, ""), everything)

    def header(self, sheet: str) -> tuple[int, list[str], int]:
        """Find the header: the first row with anything in it.

        Returns
        -------
        (int, list of str, int)
            Its row (from 1), its texts, and the number of empty columns to the left of it. The
            row is 0 if the sheet is empty.
        """
        loaded = self._calamine(
            lambda: self._reader.load_sheet(
                sheet, header_row=None, skip_rows=0, n_rows=HEADER_WITHIN, dtypes="string"
            )
        )
        columns = loaded.available_columns()
        for number, cells in enumerate(loaded.to_polars().iter_rows(), start=1):
            texts = [(cell or "").strip() for cell in cells]
            if any(texts):
                return number, texts, columns[0].absolute_index
        return 0, [], 0

    def load(self, sheet: str) -> Table:
        """Load a sheet; its text and number columns exactly, others on demand.

        Parameters
        ----------
        sheet : str
            Name of the sheet.

        Returns
        -------
        Table
            With no columns if the sheet is empty.
        """
        table = self._load_fast(sheet) if self._is_xlsx else None
        marks = self._marks_of(sheet)
        if table is None or not marks.starts_at_one:
            row, texts, first = self.header(sheet)
            if row == 0:
                return Table(self._source.name, sheet, 1, [], pl.DataFrame())
            frame = self._frame(sheet, row)
            table = Table(self._source.name, sheet, row, texts, frame, first)
        table.reload = self._reloader(table)
        # calamine's columns of numbers make 1 of a boolean, and nothing of a text such as NA
        table.doubtful = "boolean" in marks.seen or _filled_cells(table) < marks.cells
        self._look_closer(table, marks)
        return table

    def _load_fast(self, sheet: str) -> Table | None:
        """Load header and data in one go; None if the header needs a look of its own."""
        loaded = self._sheet(sheet, 1)
        columns = loaded.available_columns()
        if not columns or any(column.column_name_from == "generated" for column in columns):
            return None  # nothing, blank, or a date
        names = [column.name.strip() for column in columns]
        known = set(names)
        for name in names:  # calamine's way to make doubled names different
            match = _SUFFIXED.match(name)
            if match and match.group(1).strip() in known:
                return None
        if not all(names):
            return None
        first = columns[0].absolute_index
        return Table(self._source.name, sheet, 1, names, loaded.to_polars(), first)

    def _sheet(
        self,
        sheet: str,
        header_row: int,
        columns: Sequence[int] | None = None,
        kind: Literal["string", "float"] | None = None,
    ) -> fastexcel.ExcelSheet:
        return self._calamine(
            lambda: self._reader.load_sheet(
                sheet,
                header_row=header_row - 1,
                schema_sample_rows=None,
                use_columns=None if columns is None else list(columns),
                dtypes=kind,
            )
        )

    def _frame(
        self,
        sheet: str,
        header_row: int,
        columns: Sequence[int] | None = None,
        kind: Literal["string", "float"] | None = None,
    ) -> pl.DataFrame:
        loaded = self._sheet(sheet, header_row, columns, kind)
        frame: pl.DataFrame = self._calamine(loaded.to_polars)
        return frame

    def _reloader(self, table: Table) -> Reload:
        sheet, header_row, first = str(table.sheet), table.header_row, table.first_column

        def reload(columns: Sequence[int], kind: Literal["string", "float"]) -> pl.DataFrame:
            # numbers of columns count from column A here, also where a sheet starts further right
            return self._frame(sheet, header_row, [first + i for i in columns], kind)

        return reload

    def _look_closer(self, table: Table, marks: Marks) -> None:
        """Set the error cells of `table`; refuse formulas without values."""
        if not {"error", "formula"} & marks.seen or table.sheet is None:
            return
        last = table.first_column + len(table.header)
        named = {table.first_column + i for i, text in enumerate(table.header) if text}
        odd = [c for c in self._odd_cells(table.sheet) if c.column < last and c.column in named]
        if formulas := [c for c in odd if c.kind == "formula"]:
            raise _formulas_without_values(table, formulas)
        table.odd = [c for c in odd if c.row >= table.header_row]

    def _odd_cells(self, sheet: str) -> list[OddCell]:
        path, name = self._source.path, self._source.name
        if self._is_xlsx:
            return list(odd_cells(path, self._parts.get(sheet, ""), name))
        from readkit.xls_cells import xls_cells  # only where there is such a workbook

        return list(xls_cells(path, sheet, name))


def _filled_cells(table: Table) -> int:
    """Count the cells that came with a value; only a text can have become NaN."""
    count = sum(text != "" for text in table.header)
    for series in table.frame.get_columns():
        count += len(series) - series.null_count()
        count -= int(series.is_nan().sum()) if series.dtype.is_float() else 0
    return count


def _formulas_without_values(table: Table, formulas: list[OddCell]) -> StageError:
    shown = ", ".join(f"{letters(c.column)}{c.row}" for c in formulas[:10])
    more = f" and {len(formulas) - 10} more" if len(formulas) > 10 else ""
    first = formulas[0]
    return StageError(
        "formula_without_value",
        f"{table.place}: formulas without stored values in cells {shown}{more} (first: row "
        f"{first.row}, column {letters(first.column)}, {first.text}). The program that wrote the "
        "file did not calculate them: open it in a spreadsheet program and save it again, or "
        "replace the formulas by their values.",
    )
