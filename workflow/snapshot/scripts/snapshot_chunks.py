"""What stage view has read, in order and in pieces that fit into memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from stagekit.problems import StageError

ROWS = 131_072  # datapoints in memory at a time
NAMES = ("model", "scenario", "region", "variable", "unit")
TYPES = ("ANNUAL", "CATEGORICAL", "DATETIME")
SPLIT = {"none": (), "model": ("model",), "scenario": ("model", "scenario")}


@dataclass(frozen=True)
class Group:
    """What goes into one file.

    Attributes
    ----------
    stem : str
        Name of the file without suffix.
    of : dict of str to str
        Model and scenario, as far as files are split by them.
    runs, series : range
        Places of its runs and timeseries.
    """

    stem: str
    of: dict[str, str]
    runs: range
    series: range


@dataclass
class Chunk:
    """Some datapoints: ``series``, ``year``, ``subannual``, ``time``, ``value``; sorted."""

    view: View
    facts: pl.DataFrame

    def codes(self, name: str, series: np.ndarray) -> np.ndarray:
        """Give the code of a name, or the version, for each of `series` (places)."""
        table, column = self.view.places[name]
        return self.view.codes[name][self.view.series[table][series]] if column else series

    def named(self, name: str, series: np.ndarray) -> pa.Array:
        """Give a name or the version for each of `series` (places)."""
        codes = self.codes(name, series)
        if name == "version":
            return pa.array(codes)
        return pa.DictionaryArray.from_arrays(codes, self.view.names[name])

    def long(self, columns: Sequence[str]) -> pa.Table:
        """Give one row per datapoint."""
        series = self.facts["series"].to_numpy()
        found = {
            name: self.named(name, series)
            if name in self.view.places
            else self._types()
            if name == "type"
            else self.facts[name].to_arrow(compat_level=pl.CompatLevel.oldest())
            for name in columns
        }
        return pa.table(found)

    def _types(self) -> pa.Array:
        timed, parted = (self.facts[name].is_not_null() for name in ("time", "subannual"))
        codes = np.where(timed.to_numpy(), 2, parted.to_numpy().astype(np.int8)).astype(np.int8)
        return pa.DictionaryArray.from_arrays(codes, pa.array(TYPES))


class View:
    """The folder that stage view has written.

    Parameters
    ----------
    folder : Path
        The folder.

    Raises
    ------
    StageError
        ``missing_input`` if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.about: dict[str, Any] = json.loads((folder / "view.json").read_text("utf-8"))
        except FileNotFoundError as error:
            message = f"{folder.name} is not there: run stage view first."
            raise StageError("missing_input", message) from error
        self.runs, self.measurands = self.table("runs"), self.table("measurands")
        self.regions = self.table("regions")
        series = self.table("series")
        self.series = {name: series[name].to_numpy() for name in ("run", "region", "measurand")}
        self.ends = np.cumsum(series["rows"].to_numpy(), dtype=np.int64)
        self.years, self.times = self.table("years"), self.table("times")
        self.places = {
            "model": ("run", "model"), "scenario": ("run", "scenario"),
            "version": ("run", "version"), "region": ("region", "name"),
            "variable": ("measurand", "variable"), "unit": ("measurand", "unit"),
        }  # fmt: skip
        tables = {"run": self.runs, "region": self.regions, "measurand": self.measurands}
        self.codes: dict[str, np.ndarray] = {}
        self.names: dict[str, pa.Array] = {}
        for name, (table, column) in self.places.items():
            values = tables[table][column]
            if name == "version":
                self.codes[name] = values.cast(pl.Int32).to_numpy()
                continue
            known = values.unique(maintain_order=True)
            codes = values.to_frame().join(
                known.to_frame().with_row_index("code"), on=column, maintain_order="left"
            )
            self.codes[name] = codes["code"].cast(pl.Int32).to_numpy()
            self.names[name] = pa.array(known.to_list(), pa.string())

    def table(self, name: str) -> pl.DataFrame:
        """Give one of the small tables."""
        return pl.read_parquet(self.folder / f"{name}.parquet", memory_map=False)

    @property
    def versioned(self) -> bool:
        """Whether there may be several versions of a scenario."""
        pairs = self.runs.select("model", "scenario")
        return self.about["versions"] == "all" or bool(pairs.is_duplicated().any())

    @property
    def types(self) -> dict[str, int]:
        """Datapoints of each type that occurs."""
        return dict(self.about["types"])

    @property
    def datapoints(self) -> np.ndarray:
        """Datapoints of each run."""
        numbers = np.diff(self.ends, prepend=0)
        return np.bincount(self.series["run"], numbers, self.runs.height).astype(np.int64)

    @property
    def shown(self) -> pl.Series:
        """Tell which runs belong to the snapshot: with chosen regions or variables, not all."""
        if {"region", "variable"} & set(self.about["filters"]):
            return pl.Series(self.datapoints > 0)
        return pl.repeat(True, self.runs.height, eager=True)

    def steps(self, group: Group, kind: str) -> np.ndarray:
        """Give the years or times that occur in a group, sorted."""
        table = self.years if kind == "year" else self.times
        rows = table.filter(pl.col("run").is_between(group.runs.start, group.runs.stop - 1))
        return rows[kind].unique().sort().to_numpy()

    def groups(self, split_by: str) -> list[Group]:
        """Give the files to write, in the order of their timeseries."""
        keys = SPLIT[split_by]
        labels = self.runs.select(keys).rows() if keys else [()] * self.runs.height
        first = [n for n, label in enumerate(labels) if n == 0 or label != labels[n - 1]]
        starts = np.searchsorted(self.series["run"], first)
        found: list[Group] = []
        taken: set[str] = set()
        for n, run in enumerate(first):
            last = n + 1 == len(first)
            series = range(int(starts[n]), len(self.series["run"]) if last else int(starts[n + 1]))
            runs = range(run, self.runs.height if last else first[n + 1])
            if self._rows(series):
                stem = _stem("_".join(labels[run]) or "timeseries", taken)
                of = dict(zip(keys, labels[run], strict=True))
                found.append(Group(stem, of, runs, series))
        return found

    def _rows(self, series: range) -> int:
        if not len(series):
            return 0
        before = self.ends[series.start - 1] if series.start else 0
        return int(self.ends[series.stop - 1] - before)

    def pieces(self, groups: Sequence[Group]) -> Iterator[tuple[Group, Chunk]]:
        """Give all datapoints, group by group, in pieces; a timeseries is never divided."""
        waiting = list(groups)
        for start, stop in self._ranges():
            facts = self._read(start, stop)
            places = facts["series"]
            while waiting and waiting[0].series.start < stop:
                group = waiting[0]
                low = places.search_sorted(max(start, group.series.start))
                high = places.search_sorted(min(stop, group.series.stop))
                if high > low:
                    yield group, Chunk(self, facts[int(low) : int(high)])
                if group.series.stop > stop:
                    break
                waiting.pop(0)

    def _ranges(self) -> Iterator[tuple[int, int]]:
        start, before = 0, 0
        while start < len(self.ends):
            stop = int(np.searchsorted(self.ends, before + ROWS, side="right"))
            stop = max(stop, start + 1)
            yield start, stop
            start, before = stop, int(self.ends[stop - 1])

    def _read(self, start: int, stop: int) -> pl.DataFrame:
        """Give the datapoints of some timeseries; row groups without any are not read."""
        facts = pl.scan_parquet(self.folder / "facts.parquet")
        chosen = facts.filter(pl.col("series").is_between(start, stop - 1))
        return chosen.collect().sort("series", "subannual", "year", "time")


def _stem(name: str, taken: set[str]) -> str:
    """Give a file name that every system takes, and that no other file has."""
    safe = re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip("._")[:100] or "data"
    stem, number = safe, 1
    while stem.lower() in taken:  # some file systems do not tell case apart
        number += 1
        stem = f"{safe}-{number}"
    taken.add(stem.lower())
    return stem
