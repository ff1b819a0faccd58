"""Write `meta-indicators.xlsx` beside this file: indicators of the example workbook's scenarios.

Stored after `example-workbook.xlsx`, it changes some, adds others, and leaves the rest. Needs
`xlsxwriter`; run it as ``python examples/make_meta.py``.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import scenarios
import xlsxwriter

HERE = Path(__file__).resolve().parent
HEADER = ("Model", "Scenario", "Net Zero Year", "Reviewed", "exclude", "Comment")
VALUES = (  # of each story; empty cells leave what is stored as it is
    (None, True, None, None),
    (2085, True, None, None),
    (2070, True, True, "Excluded until the second review"),
)


def main(folder: Path = HERE) -> None:
    """Write the workbook to `folder`."""
    with xlsxwriter.Workbook(folder / "meta-indicators.xlsx") as book:
        book.set_properties({"created": dt.datetime(2026, 1, 1), "title": "Example indicators"})
        sheet = book.add_worksheet("meta")
        sheet.write_row(0, 0, HEADER, book.add_format({"bold": True, "bottom": 1}))
        stories = list(zip(scenarios.STORIES, VALUES, strict=True))
        rows = [[model, story, *values] for model in scenarios.MODELS for story, values in stories]
        for i, row in enumerate(rows, start=1):
            sheet.write_row(i, 0, row)
        sheet.set_column(0, 5, 18)
        notes = book.add_worksheet("notes")
        notes.write(0, 0, "Other sheets are not looked at.")


if __name__ == "__main__":
    main()
