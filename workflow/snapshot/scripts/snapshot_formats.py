"""Writers of the formats that are files of rows: parquet and csv, long and wide."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import snapshot_wide
from snapshot_chunks import Chunk, Group, View

LONG = ("model", "scenario", "version", "region", "variable", "unit", "type", "year", "subannual",
        "time", "value")  # fmt: skip
MOST_TIMES = 10_000  # columns of a wide file of times; with more of them it is a long one
TIME = "%Y-%m-%d %H:%M:%S%.f"


class Writer(ABC):
    """Writes the files of one group.

    Parameters
    ----------
    folder : Path
        Where they go.
    group : Group
        What goes into them.
    view : View
        Where it comes from.
    """

    def __init__(self, folder: Path, group: Group, view: View) -> None:
        self.folder, self.group, self.view = folder, group, view

    @abstractmethod
    def write(self, chunk: Chunk) -> None:
        """Add some datapoints; they come in order."""

    @abstractmethod
    def close(self) -> Iterable[tuple[str, int]]:
        """End the files; give their names with the number of rows in each."""


class Parquet(Writer):
    """One row per datapoint, all columns; names are dictionaries inside, and text when read."""

    def __init__(self, folder: Path, group: Group, view: View) -> None:
        super().__init__(folder, group, view)
        self._name, self._rows = f"{group.stem}.parquet", 0
        self._writer: Any = None

    def write(self, chunk: Chunk) -> None:
        """Add some datapoints."""
        table = chunk.long(LONG)
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self.folder / self._name, table.schema, compression="zstd", store_schema=False
            )
        self._writer.write_table(table)
        self._rows += table.num_rows

    def close(self) -> Iterable[tuple[str, int]]:
        """End the file."""
        self._writer.close()
        return [(self._name, self._rows)]


class Csv(Writer):
    """One row per datapoint; columns that have no meaning in this snapshot are left out."""

    def __init__(
        self, folder: Path, group: Group, view: View, *, kind: str = "", suffix: str = ""
    ) -> None:
        super().__init__(folder, group, view)
        types, self._kind = view.types, kind
        left_out = {
            "type": True,
            "version": not view.versioned,
            "year": kind == "time" or types.keys() <= {"DATETIME"},
            "subannual": kind == "time" or "CATEGORICAL" not in types,
            "time": "DATETIME" not in types,
        }
        self.columns = [name for name in LONG if not left_out.get(name)]
        self._name, self._rows = f"{group.stem}{suffix}.csv", 0
        self._stream = (folder / self._name).open("wb")
        self._stream.write((",".join(self.columns) + "\n").encode())

    def write(self, chunk: Chunk) -> None:
        """Add some datapoints."""
        if self._kind:
            chunk = Chunk(chunk.view, chunk.facts.filter(pl.col(self._kind).is_not_null()))
        table = chunk.long(self.columns)
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        append_csv(frame, self._stream)
        self._rows += table.num_rows

    def close(self) -> Iterable[tuple[str, int]]:
        """End the file."""
        self._stream.close()
        return [(self._name, self._rows)]


class CsvWide(Writer):
    """One row per timeseries and one column per year; times go to a file of their own."""

    def __init__(self, folder: Path, group: Group, view: View) -> None:
        super().__init__(folder, group, view)
        self._sheets: list[_WideFile | Csv] = []
        for kind, suffix in (("year", ""), ("time", "-datetime")):
            steps = len(view.steps(group, kind))
            if kind == "time" and steps > MOST_TIMES:
                self._sheets.append(Csv(folder, group, view, kind="time", suffix=suffix))
            elif steps:
                self._sheets.append(_WideFile(folder, group, view, kind, suffix))

    def write(self, chunk: Chunk) -> None:
        """Add some datapoints."""
        for sheet in self._sheets:
            sheet.write(chunk)

    def close(self) -> Iterable[tuple[str, int]]:
        """End the files."""
        return [found for sheet in self._sheets for found in sheet.close()]


class _WideFile(Writer):
    def __init__(self, folder: Path, group: Group, view: View, kind: str, suffix: str) -> None:
        super().__init__(folder, group, view)
        self._kind, self._steps = kind, view.steps(group, kind)
        self._labels = snapshot_wide.labels(view, kind)
        self._name, self._rows = f"{group.stem}{suffix}.csv", 0
        self._stream = (folder / self._name).open("wb")
        header = [*self._labels.values(), *snapshot_wide.titles(self._steps)]
        self._stream.write((",".join(header) + "\n").encode())

    def write(self, chunk: Chunk) -> None:
        for frame in snapshot_wide.rows(chunk, self._kind, self._steps, list(self._labels)):
            append_csv(frame, self._stream)
            self._rows += frame.height

    def close(self) -> Iterable[tuple[str, int]]:
        self._stream.close()
        return [(self._name, self._rows)]


def append_csv(frame: pl.DataFrame, stream: BinaryIO) -> None:
    """Write rows as text; a number is written so that reading it gives the same one."""
    buffer = io.BytesIO()
    frame.write_csv(buffer, include_header=False, datetime_format=TIME)
    stream.write(buffer.getbuffer())


def plain(table: pa.Table) -> pa.Table:
    """Give a table with text instead of dictionaries."""
    fields = [
        pa.field(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type)
        for f in table.schema
    ]
    return table.cast(pa.schema(fields))
