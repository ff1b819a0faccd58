"""Tables of the report: what was submitted and stored, in one layout whatever the time axis."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

SERIES = ["model", "scenario", "region", "variable", "unit"]
WHOLE_YEAR = ("Year", "year", "Annual", "annual")  # `subannual` values that mean all of it


@dataclass
class Inputs:
    """Everything the report is made of.

    Attributes
    ----------
    submitted, stored : polars.DataFrame
        Columns `SERIES`, the columns named in `time`, `value`.
    time : list of str
        ``["year"]``, ``["year", "subannual"]`` or ``["time"]``.
    meta : polars.DataFrame
        Model, scenario and the indicators that were stored.
    imported, verified, source, job : dict
        The documents of the other stages and of the request.
    problems : list of dict
        The problem table: warnings and notes.
    """

    submitted: pl.DataFrame
    stored: pl.DataFrame
    time: list[str]
    meta: pl.DataFrame
    imported: dict[str, Any]
    verified: dict[str, Any]
    source: dict[str, Any]
    job: dict[str, Any]
    problems: list[dict[str, Any]]


def document(path: Path | None, missing: Any) -> Any:
    """Read a JSON file, or give `missing` where there is none or an empty one."""
    if path is None or not path.is_file() or not (text := path.read_text(encoding="utf-8")):
        return missing
    return json.loads(text)


def request(path: Path) -> dict[str, Any]:
    """Read ``job.yaml``."""
    job: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return job


def layout(columns: list[str]) -> list[str]:
    """Say which of `columns` hold the time."""
    if "time" in columns:
        return ["time"]
    return ["year", "subannual"] if "subannual" in columns else ["year"]


def tidy(path: Path) -> pl.DataFrame:
    """Read timeseries with plain types: text, whole years, naive UTC times, 64-bit values.

    Files written by pandas carry dictionaries, other widths and time zones. The unit
    ``dimensionless`` becomes the empty text that ixmp4 stores, so that it counts as no change.
    """
    frame = pl.read_parquet(path)
    time = layout(frame.columns)
    zone = getattr(frame.schema.get("time"), "time_zone", None)
    text = [*SERIES, *(["subannual"] if "subannual" in time else [])]
    columns = [pl.col(name).cast(pl.String).fill_null("") for name in text]
    if time == ["time"]:
        when = pl.col("time").dt.convert_time_zone("UTC") if zone else pl.col("time")
        columns.append(when.dt.replace_time_zone(None).cast(pl.Datetime("us")))
    else:
        columns.append(pl.col("year").cast(pl.Int64))
    columns.append(pl.col("value").cast(pl.Float64))
    unit = pl.when(pl.col("unit") == "dimensionless").then(pl.lit("")).otherwise(pl.col("unit"))
    return frame.select(columns).with_columns(unit.alias("unit"))


def same_layout(
    submitted: pl.DataFrame, stored: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Bring both tables to one time layout.

    pyam hands datetimes back as ``year`` and ``subannual`` ("01-31 00:00+01:00"); where they can
    all be read, they become times again. Otherwise the stored layout wins.
    """
    before, after = layout(submitted.columns), layout(stored.columns)
    if before == after:
        return submitted, stored, after
    if before == ["time"] and after == ["year", "subannual"]:
        text = pl.format("{}-{}", "year", "subannual")
        plain = text.str.to_datetime("%Y-%m-%d %H:%M", strict=False)
        zoned = text.str.to_datetime("%Y-%m-%d %H:%M%z", strict=False, time_zone="UTC")
        when = pl.coalesce(plain, zoned.dt.replace_time_zone(None)).cast(pl.Datetime("us"))
        as_time = stored.with_columns(when.alias("time"))
        if as_time["time"].null_count() == 0:
            return submitted, as_time.select(*SERIES, "time", "value"), ["time"]
    return _converted(submitted, after), stored, after


def _converted(frame: pl.DataFrame, time: list[str]) -> pl.DataFrame:
    """Give `frame` the columns in `time`, as well as they can be known."""
    if "time" in frame.columns:
        stamp = pl.col("time").dt
        frame = frame.with_columns(stamp.year().cast(pl.Int64).alias("year"))
        frame = frame.with_columns(stamp.strftime("%m-%d %H:%M").alias("subannual"))
    if "time" in time:
        frame = frame.with_columns(pl.datetime("year", 1, 1).cast(pl.Datetime("us")).alias("time"))
    if "subannual" in time and "subannual" not in frame.columns:
        frame = frame.with_columns(pl.lit("Year").alias("subannual"))
    return frame.select(*SERIES, *time, "value")


def years(time: list[str]) -> pl.Expr:
    """Give the expression for the calendar year of a datapoint."""
    return pl.col("time").dt.year().cast(pl.Int64) if time == ["time"] else pl.col("year")


def per_scenario(frame: pl.DataFrame, time: list[str]) -> list[dict[str, Any]]:
    """Count datapoints, variables and regions of each model and scenario, with their years."""
    counted = frame.group_by("model", "scenario").agg(
        datapoints=pl.len(),
        variables=pl.col("variable").n_unique(),
        regions=pl.col("region").n_unique(),
        first=years(time).min(),
        last=years(time).max(),
        steps=years(time).n_unique(),
    )
    return counted.sort("model", "scenario").to_dicts()


def size(frame: pl.DataFrame) -> dict[str, int]:
    """Count what a table holds."""
    return {
        "datapoints": frame.height,
        "models": frame["model"].n_unique(),
        "scenarios": frame.select("model", "scenario").n_unique(),
        "regions": frame["region"].n_unique(),
        "variables": frame["variable"].n_unique(),
        "units": frame["unit"].n_unique(),
    }
