"""A sheet or file as columns of cells, before anybody knows what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import polars as pl
from stagekit.tables import letters

from readkit.xlsx_parts import OddCell

Reload = Callable[[Sequence[int], Literal["string", "float"]], pl.DataFrame]


@dataclass
class Table:
    """One sheet (or one text or parquet file): a header and columns of cells.

    Attributes
    ----------
    file : str
        Name of the file, for messages.
    sheet : str or None
        Name of the sheet; None for files without sheets.
    header_row : int
        Row of the header as a spreadsheet counts, from 1.
    header : list of str
        Texts of the header, stripped; "" where blank.
    frame : polars.DataFrame
        The rows below the header, columns in the order of `header`, with any names and types.
    first_column : int
        Number of empty columns to the left of the table.
    reload : callable or None
        Reads some columns again as text or as numbers, for sources whose cells have types of
        their own and lose something in `frame`.
    doubtful : bool
        True if columns of numbers may hide cells that are none.
    odd : list of OddCell
        Error cells.
    """

    file: str
    sheet: str | None
    header_row: int
    header: list[str]
    frame: pl.DataFrame
    first_column: int = 0
    reload: Reload | None = None
    doubtful: bool = False
    odd: list[OddCell] = field(default_factory=list)

    @property
    def place(self) -> str:
        """Name the table as messages do."""
        return f"Sheet {self.sheet!r} of {self.file}" if self.sheet else self.file

    def letter(self, column: int) -> str:
        """Give the letters over `column` (from 0, in the order of `header`)."""
        return letters(self.first_column + column)

    def rows(self) -> pl.Series:
        """Give the row number of each row of `frame`."""
        start = self.header_row + 1
        return pl.int_range(start, start + self.frame.height, dtype=pl.UInt32, eager=True)

    def texts(self, columns: Sequence[int]) -> list[pl.Series]:
        """Give columns as text: blank cells are null, nothing else is changed."""
        series = [self.frame.to_series(i) for i in columns]
        loses = [i for i, s in zip(columns, series, strict=True) if s.dtype != pl.String]
        loaded = self._reloaded(loses, "string")
        return [blank_to_null(loaded.get(i, s)) for i, s in zip(columns, series, strict=True)]

    def numbers(self, columns: Sequence[int]) -> list[tuple[pl.Series, pl.Series]]:
        """Give columns as numbers, and what is no number as text.

        Parameters
        ----------
        columns : sequence of int
            Which columns.

        Returns
        -------
        list of (Series of float, Series of str)
            For each column: its finite numbers, null elsewhere; and the texts of the cells that
            are neither blank nor a finite number, null elsewhere.
        """
        plain = [i for i in columns if self._is_plain(i)]
        others = [i for i in columns if i not in set(plain)]
        texts = dict(zip(others, self.texts(others), strict=True))
        exact = self._reloaded(others, "float")
        result = []
        for i in columns:
            if i in texts:
                result.append(parse_numbers(texts[i], exact.get(i)))
            else:
                result.append(finite_numbers(self.frame.to_series(i)))
        return result

    def _is_plain(self, column: int) -> bool:
        return self.frame.to_series(column).dtype.is_numeric() and not self.doubtful

    def _reloaded(
        self, columns: Sequence[int], kind: Literal["string", "float"]
    ) -> dict[int, pl.Series]:
        if not columns or self.reload is None:
            return {}
        return dict(zip(columns, self.reload(columns, kind).get_columns(), strict=True))


def blank_to_null(series: pl.Series) -> pl.Series:
    """Turn `series` into text in which empty cells and cells of only spaces are null."""
    text = series.cast(pl.String)
    blank = text.str.strip_chars().str.len_bytes() == 0
    return text.to_frame().select(pl.when(~blank).then(pl.first())).to_series()


def finite_numbers(series: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Split a column of numbers; NaN, which some writers use for an empty cell, becomes null."""
    values = series.cast(pl.Float64).fill_nan(None)
    if not values.is_infinite().any():
        return values, pl.Series([None], dtype=pl.String).new_from_index(0, len(values))
    return _split(values, values.cast(pl.String))


def parse_numbers(text: pl.Series, exact: pl.Series | None) -> tuple[pl.Series, pl.Series]:
    """Read numbers from a column of text.

    Parameters
    ----------
    text : Series of str
        Null where blank.
    exact : Series of float or None
        The same column as numbers: wins where the text is a number, since a spreadsheet's
        number is rounded when shown as text.
    """
    values = text.str.strip_chars().cast(pl.Float64, strict=False)
    if exact is not None:
        frame = pl.DataFrame({"parsed": values, "exact": exact})
        both = pl.when(pl.col("parsed").is_finite()).then(pl.coalesce("exact", "parsed"))
        values = frame.select(both.otherwise("parsed")).to_series()
    return _split(values, text)


def _split(values: pl.Series, text: pl.Series) -> tuple[pl.Series, pl.Series]:
    frame = pl.DataFrame({"value": values, "text": text}).with_columns(
        good=pl.col("value").is_finite().fill_null(False)
    )
    good = frame.select(pl.when("good").then("value")).to_series()
    bad = frame.select(pl.when(~pl.col("good")).then("text")).to_series()
    return good, bad
