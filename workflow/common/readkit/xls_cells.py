"""Error cells of old .xls workbooks, which calamine reads as empty."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import xlrd  # type: ignore[import-untyped,import-not-found,unused-ignore]

from readkit.bounded import damaged
from readkit.xlsx_parts import OddCell


def xls_cells(path: Path, sheet: str, name: str) -> Iterator[OddCell]:
    """Look at each cell of a sheet.

    Parameters
    ----------
    path : Path
        The workbook; .xls sheets have at most 65,536 rows, so this takes seconds at most.
    sheet : str
        Name of the sheet.
    name : str
        The file, for messages.

    Yields
    ------
    OddCell
        Only of kind ``error``: the format stores the value of every formula.
    """
    try:
        with open(os.devnull, "w") as nowhere:
            book = xlrd.open_workbook(str(path), logfile=nowhere, on_demand=True)
            cells = book.sheet_by_name(sheet)
    except (xlrd.XLRDError, xlrd.compdoc.CompDocError, LookupError, ValueError) as error:
        raise damaged(name, str(error) or "its structure is broken") from error
    for row in range(cells.nrows):
        for column, kind in enumerate(cells.row_types(row)):
            if kind == xlrd.XL_CELL_ERROR:
                code = cells.cell_value(row, column)
                text = xlrd.error_text_from_code.get(code, "#ERROR")
                yield OddCell(row + 1, column, "error", text)
