"""Meta indicators of a snapshot: as a list, and as a table with a column for each."""

from __future__ import annotations

from typing import Any

import polars as pl
from snapshot_chunks import View

VALUES = {"INT": "value_int", "FLOAT": "value_float", "STR": "value_str", "BOOL": "value_bool"}


def values(view: View) -> list[tuple[int, str, Any]]:
    """Give the place of the run, the indicator and its value as ixmp4 types it."""
    rows = view.table("meta").sort("run", "indicator").iter_rows(named=True)
    return [(row["run"], row["indicator"], row[VALUES[row["dtype"]]]) for row in rows]


def listed(view: View) -> pl.DataFrame:
    """Give one row per run and indicator; values are text, their type is beside them."""
    shown = pl.arg_where(view.shown, eager=True).cast(pl.Int32)
    meta = view.table("meta").filter(pl.col("run").is_in(shown.implode()))
    meta = meta.sort("run", "indicator")
    text = pl.coalesce(
        pl.col("value_str"),
        pl.col("value_bool").cast(pl.String),
        pl.col("value_int").cast(pl.String),
        pl.col("value_float").cast(pl.String),
    )
    runs = view.runs.with_row_index("run").cast({"run": pl.Int32})
    return meta.join(runs, on="run", maintain_order="left").select(
        "model",
        "scenario",
        "version",
        "indicator",
        pl.col("dtype").str.to_lowercase().alias("type"),
        text.alias("value"),
    )


def table(view: View, runs: range | None = None) -> tuple[list[str], list[list[Any]]]:
    """Give header and rows of the sheet meta: a row per run, a column per indicator.

    Parameters
    ----------
    view : View
        Where they come from.
    runs : range, optional
        Only these (places); all that belong to the snapshot by default.
    """
    found: dict[int, dict[str, Any]] = {}
    names: set[str] = set()
    for run, indicator, value in values(view):
        found.setdefault(run, {})[indicator] = value
        names.add(indicator)
    header = ["model", "scenario", *(["version"] if view.versioned else []), *sorted(names)]
    keys = ["model", "scenario", *(["version"] if view.versioned else [])]
    rows = [
        [*key, *(found.get(run, {}).get(name) for name in header[len(keys) :])]
        for run, key in enumerate(view.runs.select(keys).iter_rows())
        if view.shown[run] and (runs is None or run in runs)
    ]
    return header, rows
