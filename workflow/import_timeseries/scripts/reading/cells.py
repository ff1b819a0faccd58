"""Cells that hold no number, year or time where they should: nothing of them is lost."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from readkit.table import Table

CELLS: dict[str, type[pl.DataType]] = {
    "row": pl.UInt32,
    "column": pl.String,
    "field": pl.String,
    "value": pl.String,
    "kind": pl.String,
}


def all_cells(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put cells together, in the order of rows; an error cell counts once."""
    frame = pl.concat([pl.DataFrame(schema=CELLS), *parts])
    return frame.unique(["row", "column"], keep="first", maintain_order=True).sort("row")


def odd_texts(table: Table, column: int, text: pl.Series, kind: str = "text") -> pl.DataFrame:
    """Give the cells of a column for which `text` is not null."""
    frame = pl.DataFrame(
        {"row": table.rows(), "value": text}, schema_overrides={"value": pl.String}
    )
    return _describe(table, column, frame.filter(pl.col("value").is_not_null()), kind)


def missing_cells(table: Table, column: int, where: pl.Series) -> pl.DataFrame:
    """Give the cells of a column that are empty although they must not be."""
    frame = pl.DataFrame(
        {"row": table.rows(), "value": None}, schema_overrides={"value": pl.String}
    )
    frame = frame.filter(where)
    return _describe(table, column, frame, "missing")


def _describe(table: Table, column: int, frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    return frame.select(
        pl.col("row").cast(pl.UInt32),
        pl.lit(table.letter(column)).alias("column"),
        pl.lit(table.header[column]).alias("field"),
        pl.col("value"),
        pl.lit(kind).alias("kind"),
    )


def error_cells(table: Table) -> pl.DataFrame:
    """Give the cells that hold an error such as ``#N/A``."""
    rows = [
        (c.row, table.letter(c.column - table.first_column), c.column - table.first_column, c.text)
        for c in table.odd
    ]
    return pl.DataFrame(
        {
            "row": [r[0] for r in rows],
            "column": [r[1] for r in rows],
            "field": [table.header[r[2]] for r in rows],
            "value": [r[3] for r in rows],
            "kind": ["error"] * len(rows),
        },
        schema=CELLS,
    )
