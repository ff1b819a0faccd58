"""From the tidy parquet files to a pyam.IamDataFrame and back.

Runs in the processing repository's environment: Python 3.9, pandas 1.5 or newer, pyam 1.7 or
newer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyam
import pyarrow as pa
import pyarrow.parquet as pq
from stagekit.files import whole
from stagekit.problems import StageError

IAMC = ["model", "scenario", "region", "variable", "unit"]
INDEX = ["model", "scenario"]


class Source:
    """The data as READ left them, with the place in the file of every datapoint.

    Parameters
    ----------
    path : Path
        ``work/data.parquet``.
    offset : str or None
        The offset from UTC that the file's times had (``"+01:00"``); the table keeps them in UTC.
    """

    def __init__(self, path: Path, offset: str | None = None) -> None:
        table = pq.read_table(path)
        self.time = "time" if "time" in table.column_names else "year"
        self.names = [*IAMC, self.time]
        if "subannual" in table.column_names:
            self.names.append("subannual")
        self.levels: dict[str, Any] = {}
        self.codes: dict[str, Any] = {}
        for name in self.names:
            self.levels[name], self.codes[name] = _sorted_dictionary(table.column(name))
        if offset and getattr(self.levels["time"], "tz", None) is not None:
            self.levels["time"] = self.levels["time"].tz_convert(_timezone(offset))
        self.value = table.column("value").to_numpy()
        self.row = table.column("row").to_numpy()
        self._places: dict[str, tuple[Any, Any]] = {}

    def series(self) -> pd.Series:
        """Give the values indexed by all dimensions, ready for `pyam.IamDataFrame`.

        The index is built from codes and not from columns of strings, which makes pyam's own
        checks twenty times faster.
        """
        index = pd.MultiIndex(
            levels=[self.levels[name] for name in self.names],
            codes=[self.codes[name] for name in self.names],
            names=self.names,
        )
        return pd.Series(self.value, index=index, name="value")

    def rows(self, **wanted: Any) -> list[int]:
        """Give the rows of the file, ascending, where all `wanted` dimensions have their value."""
        found: Any = None
        for name, value in wanted.items():
            level = self.levels[name]
            code = level.get_indexer([value])[0] if value in level else -1
            if code < 0:
                return []
            if found is None:
                order, starts = self._place(name)
                found = order[starts[code] : starts[code + 1]]
            else:
                found = found[self.codes[name][found] == code]
        return [] if found is None else [int(row) for row in np.unique(self.row[found])]

    def _place(self, name: str) -> tuple[Any, Any]:
        if name not in self._places:
            codes = self.codes[name]
            order = np.argsort(codes, kind="stable")
            starts = np.searchsorted(codes[order], np.arange(len(self.levels[name]) + 1))
            self._places[name] = (order, starts)
        return self._places[name]


class Submitted:
    """The meta indicators as READ left them.

    Parameters
    ----------
    path : Path
        ``work/meta.parquet``.

    Attributes
    ----------
    table : pandas.DataFrame
        They, with model and scenario as index.
    whole : set of str
        Indicators that are whole numbers: pandas makes floats of them where cells are empty.
    """

    def __init__(self, path: Path) -> None:
        table = pq.read_table(path)
        self.table = table.to_pandas().set_index(INDEX)
        self.whole = {field.name for field in table.schema if pa.types.is_integer(field.type)}


def as_iamframe(series: pd.Series, meta: pd.DataFrame) -> Any:
    """Make an IamDataFrame as pyam would from a workbook with these data and this meta sheet.

    ``exclude`` becomes pyam's attribute of that name from pyam 2 on, and is a meta column before.
    """
    if series.empty:
        raise StageError("no_data", "There is nothing to process: the data are empty.")
    exclude = meta["exclude"] if "exclude" in meta.columns else None
    if exclude is not None and pyam_has_exclude():
        meta = meta.drop(columns="exclude")
    pairs = series.index.droplevel([n for n in series.index.names if n not in INDEX])
    known = set(pairs.unique())
    meta = meta.loc[[key in known for key in meta.index]]
    try:
        df = pyam.IamDataFrame(series, meta=meta) if len(meta) else pyam.IamDataFrame(series)
    except Exception as error:
        raise StageError(
            "pyam_refused", f"The data cannot be read by pyam {pyam.__version__}: {error}"
        ) from error
    if exclude is not None and pyam_has_exclude():
        for key, flag in exclude.dropna().items():
            if key in df.exclude.index:
                df.exclude.loc[key] = bool(flag)
    return df


def pyam_has_exclude() -> bool:
    """Tell whether ``exclude`` is an attribute of its own (pyam 2 and newer)."""
    return hasattr(pyam.IamDataFrame, "exclude")


def tidy(df: Any) -> pd.DataFrame:
    """Give the data of an IamDataFrame in the columns of ``results/processed.parquet``, sorted.

    Raises
    ------
    StageError
        If there are dimensions that a platform cannot store, or no datapoints.
    """
    extra = [c for c in df.extra_cols if c != "subannual"]
    extra += [c for c in df.meta.index.names if c not in INDEX]
    if extra:
        raise StageError(
            "unknown_dimension",
            f"The processed data have columns that cannot be stored: {', '.join(extra)}."
            " Remove them in workflow.py.",
        )
    data = df.data
    if data.empty:
        raise StageError(
            "empty_result",
            "Processing left no datapoints. Check whether the regions and variables of the data"
            " occur in the mappings and definitions of the processing repository.",
        )
    time = df.time_col
    if time == "time" and not pd.api.types.is_datetime64_any_dtype(data["time"]):
        raise StageError(
            "mixed_time", "The processed data mix years and dates; a job can store only one kind."
        )
    names = [*IAMC, *(["subannual"] if "subannual" in data.columns else []), time]
    return data[[*names, "value"]].sort_values(names, kind="stable").reset_index(drop=True)


def tidy_meta(df: Any, submitted: Submitted) -> pd.DataFrame:
    """Give the meta indicators of an IamDataFrame as ``results/processed_meta.parquet`` has them.

    Parameters
    ----------
    df : pyam.IamDataFrame
        The processed data.
    submitted : Submitted
        What was submitted. A scenario submitted as excluded stays so: region processing makes new
        objects and forgets it.
    """
    meta = df.meta.copy()
    meta.columns = [str(column) for column in meta.columns]
    exclude = df.exclude if pyam_has_exclude() else meta.pop("exclude")
    exclude = exclude.reindex(meta.index).fillna(False).astype(bool)
    for name in meta.columns:
        if name in submitted.whole and (meta[name].dropna() % 1 == 0).all():
            meta[name] = meta[name].astype("Int64")
        elif pd.api.types.is_datetime64_any_dtype(meta[name]):
            meta[name] = meta[name].map(lambda moment: moment.isoformat(), na_action="ignore")
    if "exclude" in submitted.table.columns or exclude.any():
        given = submitted.table.get("exclude", pd.Series(dtype=bool)).dropna()
        excluded = {pair for pair, flag in given.items() if flag}
        meta["exclude"] = exclude | meta.index.isin(excluded)
    known = [name for name in submitted.table.columns if name in meta.columns]
    order = [*known, *(name for name in meta.columns if name not in known)]
    return meta[order].sort_index().reset_index()


def write(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as parquet; a column that mixes numbers and text becomes text."""
    columns = {}
    for name in frame.columns:
        try:
            columns[name] = pa.array(frame[name], from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            print(f"warning: {name} mixes numbers and text and is kept as text")
            text = [None if pd.isna(value) else str(value) for value in frame[name]]
            columns[name] = pa.array(text, type=pa.string())
        if pa.types.is_timestamp(columns[name].type):
            zone = "UTC" if columns[name].type.tz else None
            columns[name] = columns[name].cast(pa.timestamp("us", zone))
        elif pa.types.is_null(columns[name].type):
            columns[name] = columns[name].cast(pa.string())
    with whole(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")


def _sorted_dictionary(column: Any) -> tuple[Any, Any]:
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
        encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    values = pd.Index(encoded.dictionary.to_pandas())
    order = np.argsort(values, kind="stable")
    position = np.empty(len(order) + 1, dtype=np.int64)
    position[np.asarray(order)] = np.arange(len(order))
    position[-1] = -1  # a missing value is pandas' code -1
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return values[order], position[codes]


def _timezone(offset: str) -> Any:
    return pd.Timestamp(f"2000-01-01T00:00{offset}").tz
