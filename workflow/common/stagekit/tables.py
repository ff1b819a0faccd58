"""Parquet tables between stages, written whole, and column letters as spreadsheets show them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import polars as pl

from stagekit.files import whole
from stagekit.problems import StageError

_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def letters(column: int) -> str:
    """Give the letters of a column: 0 is ``"A"``, 26 is ``"AA"``."""
    text = ""
    column += 1
    while column:
        column, digit = divmod(column - 1, 26)
        text = chr(ord("A") + digit) + text
    return text


def write_parquet(frame: pl.DataFrame | pl.LazyFrame, path: Path) -> None:
    """Write `frame`, whole or not at all.

    Parameters
    ----------
    frame : polars.DataFrame or polars.LazyFrame
        A lazy frame is streamed, so that what it computes is never in memory as a whole.
    path : Path
        The file.

    Raises
    ------
    OSError
        If it cannot be written. polars wraps the system's error in a text; the number is taken
        out of it, so that a full disk is reported as one.
    """
    with whole(path) as temporary:
        try:
            frame.lazy().sink_parquet(temporary, compression="zstd", compression_level=1)
        except (pl.exceptions.ComputeError, OSError) as error:
            found = _OS_ERROR.search(str(error))
            if found is None:
                raise
            number = int(found.group(1))
            raise OSError(number, os.strerror(number), str(path)) from error


def read_parquet(path: Path) -> pl.DataFrame:
    """Read what an earlier stage wrote.

    Raises
    ------
    StageError
        ``missing_input`` if it is not there or cannot be read.
    """
    try:
        return pl.read_parquet(path, memory_map=False)
    except FileNotFoundError as error:
        message = f"{path.name} is not there: run the stage that writes it first."
        raise StageError("missing_input", message) from error
    except pl.exceptions.ComputeError as error:
        message = f"{path.name} is no parquet file that can be read: run its stage again."
        raise StageError("missing_input", message) from error
