"""Streaming datapoints into a parquet file, and what is counted on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 131_072  # of a row group: small enough to be read again in pieces
SPREAD = 4  # ids that are at most so sparse are looked up in a plain table
TYPES = ("ANNUAL", "CATEGORICAL", "DATETIME")
SCHEMA = pa.schema(
    [
        pa.field("series", pa.uint32(), nullable=False),
        pa.field("year", pa.int32()),
        pa.field("subannual", pa.string()),
        pa.field("time", pa.timestamp("us")),
        pa.field("value", pa.float64()),
    ]
)


class Places:
    """The place of each timeseries by its id.

    Parameters
    ----------
    ids : numpy.ndarray
        Ids in the order in which timeseries are written.
    """

    def __init__(self, ids: np.ndarray) -> None:
        self._low = int(ids.min()) if len(ids) else 0
        span = (int(ids.max()) - self._low + 1) if len(ids) else 0
        self._table: np.ndarray | None = None
        if span <= SPREAD * len(ids):
            self._table = np.zeros(span, dtype=np.uint32)
            self._table[ids - self._low] = np.arange(len(ids), dtype=np.uint32)
        else:
            self._order = np.argsort(ids).astype(np.uint32)
            self._sorted = ids[self._order]

    def of(self, ids: np.ndarray) -> np.ndarray:
        """Give the places of `ids`, which must all be known."""
        if self._table is not None:
            return self._table[ids - self._low]
        return self._order[np.searchsorted(self._sorted, ids)]


@dataclass
class Counts:
    """What is known when all datapoints have passed.

    Attributes
    ----------
    rows : numpy.ndarray
        Datapoints of each timeseries.
    types : dict of str to int
        Datapoints of each of ixmp4's types.
    years, times : polars.DataFrame
        Which occur in which run: ``run`` and ``year`` or ``time``.
    """

    rows: np.ndarray
    types: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TYPES, 0))
    years: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"run": pl.Int32, "year": pl.Int32})
    )
    times: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"run": pl.Int32, "time": pl.Datetime("us")})
    )

    def add(self, batch: pl.DataFrame) -> None:
        """Count a batch with the columns run, series, year, subannual, time, value."""
        found = np.bincount(batch["series"].to_numpy(), minlength=0)
        self.rows[: len(found)] += found.astype(np.uint32)
        height, timed = batch.height, batch.height - batch["time"].null_count()
        parted = height - batch["subannual"].null_count()
        numbers = (height - timed - parted, parted, timed)
        for name, number in zip(TYPES, numbers, strict=True):
            self.types[name] += number
        if timed < height:
            self.years = _union(self.years, batch, "year")
        if timed:
            self.times = _union(self.times, batch, "time")


def _union(known: pl.DataFrame, batch: pl.DataFrame, column: str) -> pl.DataFrame:
    new = batch.lazy().select("run", column).unique().drop_nulls().collect()
    return pl.concat([known, new]).unique()


def export(batches: Iterable[pl.DataFrame], series: pl.DataFrame, path: Path) -> Counts:
    """Write all datapoints to `path`; memory does not grow with their number.

    Parameters
    ----------
    batches : iterable of polars.DataFrame
        From `snapshot_source.Source.facts`.
    series : polars.DataFrame
        Timeseries in the order in which they are to be written: ``id``, ``run``.
    path : Path
        Gets the place of each datapoint's timeseries instead of its id.
    """
    places, runs = Places(series["id"].to_numpy()), series["run"].to_numpy()
    counts = Counts(np.zeros(series.height, dtype=np.uint32))
    done = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", compression_level=1) as writer:
        for rows in _gathered(batches):
            where = places.of(rows["id"].to_numpy())
            batch = rows.select(
                pl.Series("run", runs[where]),
                pl.Series("series", where),
                *SCHEMA.names[1:],
            )
            counts.add(batch)
            table = batch.drop("run").to_arrow(compat_level=pl.CompatLevel.oldest())
            writer.write_table(table.cast(SCHEMA), row_group_size=ROWS)
            done += rows.height
            print(f"view {done:,} datapoints", flush=True)
    return counts


def _gathered(batches: Iterable[pl.DataFrame]) -> Iterable[pl.DataFrame]:
    """Put batches together until they make a row group."""
    waiting: list[pl.DataFrame] = []
    height = 0
    for batch in batches:
        waiting.append(batch)
        height += batch.height
        if height >= ROWS:
            yield pl.concat(waiting)
            waiting, height = [], 0
    if waiting:
        yield pl.concat(waiting)
