"""Which sheet holds the data."""

from __future__ import annotations

from collections.abc import Sequence

from readkit.excel import Workbook
from stagekit.problems import StageError

from reading.layout import has_iamc_columns


def data_sheet(book: Workbook, name: str, wanted: str | None) -> str:
    """Choose the data sheet.

    Parameters
    ----------
    book : Workbook
        The workbook.
    name : str
        The file, for messages.
    wanted : str or None
        The sheet that was asked for.

    Returns
    -------
    str
        The wanted one; else the one called data…; else the only one with the IAMC columns.

    Raises
    ------
    StageError
        ``unknown_sheet``, ``several_data_sheets`` or ``no_data_sheet``; each lists the sheets.
    """
    if wanted is not None:
        return _wanted(book.sheets, name, wanted)
    called = [sheet for sheet in book.sheets if sheet.strip().lower().startswith("data")]
    if len(called) == 1:
        return called[0]
    others = [s for s in book.sheets if s.strip().lower() != "meta"]
    fitting = [s for s in called or others if _fits(book, s)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        message = f"{name} has several data sheets: {_listed(fitting)}. Say which with 'sheet'."
        raise StageError("several_data_sheets", message)
    message = (
        f"{name} has no data sheet: none is called data…, and none has the columns model, "
        f"scenario, region, variable and unit. Its sheets are: {_listed(book.sheets)}."
    )
    raise StageError("no_data_sheet", message)


def _wanted(sheets: Sequence[str], name: str, wanted: str) -> str:
    if wanted in sheets:
        return wanted
    alike = [s for s in sheets if s.strip().lower() == wanted.strip().lower()]
    if len(alike) == 1:
        return alike[0]
    message = f"{name} has no sheet {wanted!r}. Its sheets are: {_listed(sheets)}."
    raise StageError("unknown_sheet", message)


def _fits(book: Workbook, sheet: str) -> bool:
    try:
        return has_iamc_columns(book.header(sheet)[1])
    except StageError:  # a sheet of charts, which is no table
        return False


def _listed(sheets: Sequence[str]) -> str:
    return ", ".join(repr(sheet) for sheet in sheets)
