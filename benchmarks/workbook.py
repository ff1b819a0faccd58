"""Write a large wide IAMC workbook for the benchmarks: same arguments, same content."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import xlsxwriter

INDEX = ("Model", "Scenario", "Region", "Variable", "Unit")
YEARS = tuple(range(2010, 2110, 10))


def write_workbook(
    path: Path, *, datapoints: int = 1_000_000, unknown_region: str | None = None, seed: int = 1
) -> Path:
    """Write a workbook with a data sheet in the wide layout and a meta sheet.

    Parameters
    ----------
    path : Path
        The .xlsx file to write.
    datapoints : int
        Number of datapoints; rounded up to whole rows of ten years.
    unknown_region : str, optional
        Put this region into the last row.
    seed : int
        Seed of the values.

    Returns
    -------
    Path
        The same path.
    """
    rows = -(-datapoints // len(YEARS))
    draw = random.Random(seed).random
    book = xlsxwriter.Workbook(str(path), {"strings_to_numbers": False})
    data = book.add_worksheet("data")
    data.write_row(0, 0, [*INDEX, *YEARS])
    for row in range(rows):
        last = row == rows - 1
        region = unknown_region if last and unknown_region else f"Region {row % 20:02d}"
        for column, text in enumerate((*scenario_of(row), region, *variable_of(row))):
            data.write_string(row + 1, column, text)
        for column in range(len(INDEX), len(INDEX) + len(YEARS)):
            data.write_number(row + 1, column, 1000 * draw())
    _write_meta(book, rows)
    book.close()
    return path


def scenario_of(row: int) -> tuple[str, str]:
    """Give model and scenario of a data row: a pair for every 10,000 rows."""
    pair = row // 10_000
    return f"Model {pair % 5} 1.0", f"Scenario {pair // 5}"


def variable_of(row: int) -> tuple[str, str]:
    """Give variable and unit of a data row: 500 variables, each in 20 regions."""
    number = row // 20 % 500
    if number % 2:
        return f"Emissions|CO2|Sector {number:03d}", "Mt CO2/yr"
    return f"Final Energy|Sector {number:03d}|Electricity", "EJ/yr"


def _write_meta(book: xlsxwriter.Workbook, rows: int) -> None:
    meta = book.add_worksheet("meta")
    meta.write_row(0, 0, ["Model", "Scenario", "Category", "Peak warming"])
    pairs = dict.fromkeys(scenario_of(row) for row in range(0, rows, 10_000))
    for number, pair in enumerate(pairs):
        meta.write_row(number + 1, 0, [*pair, f"C{number % 8 + 1}", 1.5 + number / 10])


def main() -> None:
    """Write the workbook that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--datapoints", type=int, default=1_000_000)
    parser.add_argument("--unknown-region", default=None)
    args = parser.parse_args()
    print(write_workbook(args.path, datapoints=args.datapoints, unknown_region=args.unknown_region))


if __name__ == "__main__":
    main()
