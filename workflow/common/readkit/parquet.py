"""Parquet files of anybody's making."""

from __future__ import annotations

import polars as pl
from stagekit.problems import StageError

from readkit.bounded import damaged
from readkit.table import Table
from readkit.unpack import Source

MAX_CELLS = 1_000_000_000  # a few kilobytes of parquet can hold any number of equal rows


def load_parquet(source: Source) -> Table:
    """Load a parquet file; rows and columns are counted as if it were a sheet with a header.

    Raises
    ------
    StageError
        ``damaged_file``, or ``archive_bomb`` beyond `MAX_CELLS`.
    """
    try:
        lazy = pl.scan_parquet(source.path, missing_columns="raise")
        names = lazy.collect_schema().names()
        rows = lazy.select(pl.len()).collect().item()
        if rows * len(names) > MAX_CELLS:
            message = f"{source.name} holds {rows:,} rows of {len(names)} columns: too many."
            raise StageError("archive_bomb", message)
        frame = lazy.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise damaged(source.name, str(error).splitlines()[0]) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise damaged(source.name, "its structure is broken") from error
    frame = frame.with_columns(_shown(series) for series in frame.get_columns())
    keep = [name for name in names if not name.startswith("__index_level_")]  # pandas' own
    header = [name.strip() for name in keep]
    return Table(source.name, None, 1, header, frame.select(keep))


def _shown(series: pl.Series) -> pl.Series:
    """Turn what no cell of a sheet could hold (lists, bytes, …) into text."""
    if series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object, pl.Time, pl.Duration):
        texts = [None if value is None else str(value) for value in series.to_list()]
        return pl.Series(series.name, texts, dtype=pl.String)
    return series
