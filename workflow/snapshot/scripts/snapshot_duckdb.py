"""A DuckDB database: timeseries, runs, indicators, regions and units as tables."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl
from snapshot_chunks import Chunk, Group, View
from snapshot_formats import LONG, Writer, plain
from snapshot_indicators import listed

NAME = "snapshot.duckdb"
MEMORY = "128MB"


class DuckDB(Writer):
    """One database of everything."""

    def __init__(self, folder: Path, group: Group, view: View) -> None:
        super().__init__(folder, group, view)
        self._rows = 0
        options = {"memory_limit": MEMORY, "threads": 2}
        with _explained():
            self._connection = duckdb.connect(str(folder / NAME), config=options)
        self._run(
            "CREATE TABLE timeseries (model VARCHAR, scenario VARCHAR, version INTEGER,"
            " region VARCHAR, variable VARCHAR, unit VARCHAR, type VARCHAR, year INTEGER,"
            ' subannual VARCHAR, "time" TIMESTAMP, value DOUBLE)'
        )

    def write(self, chunk: Chunk) -> None:
        """Add some datapoints."""
        self._add("timeseries", chunk.long(LONG), new=False)
        self._rows += chunk.facts.height

    def close(self) -> Iterable[tuple[str, int]]:
        """Add the small tables and end the file."""
        view = self.view
        tables = {
            "runs": view.runs.filter(view.shown).select(
                "model", "scenario", "version", "is_default"
            ),
            "meta": listed(view),
            "regions": view.table("regions").select("name", "hierarchy"),
            "units": view.table("units").select("name"),
        }
        for name, frame in tables.items():
            self._add(name, frame.to_arrow(compat_level=pl.CompatLevel.oldest()), new=True)
        self._run("CHECKPOINT")
        self._connection.close()
        return [(NAME, self._rows)]

    def _add(self, table: str, rows: object, *, new: bool) -> None:
        self._connection.register("rows", plain(rows))
        verb = f"CREATE TABLE {table} AS" if new else f"INSERT INTO {table}"
        self._run(f"{verb} SELECT * FROM rows")
        self._connection.unregister("rows")

    def _run(self, statement: str) -> None:
        with _explained():
            self._connection.execute(statement)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn DuckDB's error of a full disk into the system's."""
    try:
        yield
    except duckdb.Error as error:
        if re.search("No space left|disk full|not enough disk space", str(error)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), NAME) from error
        raise
