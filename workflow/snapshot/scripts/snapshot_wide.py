"""The wide layout of the IAMC format: one row per timeseries, one column per year or time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from snapshot_chunks import Chunk, View

CELLS = 2_000_000  # numbers in memory at a time, 8 bytes each


def labels(view: View, kind: str) -> dict[str, str]:
    """Give the columns before the years or times: their titles by their names.

    Parameters
    ----------
    view : View
        Versions have a column where there may be several, and parts of years where there are.
    kind : {"year", "time"}
        What the columns after them are.
    """
    names = ["model", "scenario", *(["version"] if view.versioned else [])]
    names += ["region", "variable", "unit"]
    if kind == "year" and "CATEGORICAL" in view.types:
        names.append("subannual")
    return {name: name.capitalize() for name in names}


def titles(steps: np.ndarray) -> list[str]:
    """Give the headers of years or times."""
    if steps.dtype.kind != "M":
        return [str(step) for step in steps]
    return [str(step).replace("T", " ").removesuffix(".000000") for step in steps]


def rows(
    chunk: Chunk, kind: str, steps: np.ndarray, names: Sequence[str]
) -> Iterator[pl.DataFrame]:
    """Give a chunk's rows in the wide layout, in pieces of at most `CELLS` numbers.

    A datapoint that is stored several times (ixmp4 lets that happen) takes further rows, so that
    nothing is lost.

    Parameters
    ----------
    chunk : Chunk
        Some datapoints.
    kind : {"year", "time"}
        What the columns are; only datapoints that have one are taken.
    steps : numpy.ndarray
        The years or times, sorted.
    names : sequence of str
        The columns before them, from `labels`.
    """
    facts = chunk.facts.filter(pl.col(kind).is_not_null())
    if facts.is_empty():
        return
    keys = ["series", "subannual"]
    if _repeated(facts, [*keys, kind]).any():
        again = pl.int_range(pl.len()).over(*keys, kind).alias("again")
        facts = facts.with_columns(again).sort(*keys[:1], "subannual", "again", kind)
        keys.append("again")
    starts = ~_repeated(facts, keys)
    row = starts.cast(pl.Int64).cum_sum().to_numpy() - 1
    heads = facts.filter(starts)
    column = np.searchsorted(steps, facts[kind].to_numpy())
    values = facts["value"].to_numpy()
    most = max(1, CELLS // len(steps))
    for first in range(0, heads.height, most):
        part = heads[first : first + most]
        low, high = np.searchsorted(row, [first, first + part.height])
        matrix = np.full((len(steps), part.height), np.nan)
        matrix[column[low:high], row[low:high] - first] = values[low:high]
        series = part["series"].to_numpy()
        found = {
            name: part[name] if name == "subannual" else _series(chunk, name, series)
            for name in names
        }
        numbers = dict(zip(titles(steps), matrix, strict=True))
        yield pl.DataFrame({**found, **numbers}).with_columns(pl.col(list(numbers)).fill_nan(None))


def _series(chunk: Chunk, name: str, series: np.ndarray) -> pl.Series:
    found = pl.from_arrow(chunk.named(name, series))
    assert isinstance(found, pl.Series)
    return found if name == "version" else found.cast(pl.String)


def _repeated(facts: pl.DataFrame, keys: Sequence[str]) -> pl.Series:
    """Tell of each row whether it has the keys of the one before it."""
    same = [pl.col(key).eq_missing(pl.col(key).shift(1)) for key in keys]
    first = pl.int_range(pl.len()) == 0
    return facts.select((pl.all_horizontal(same) & ~first).alias("same"))["same"]
