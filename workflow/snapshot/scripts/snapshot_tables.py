"""The small tables of a platform, and the timeseries in the order in which they are written."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from snapshot_selection import FILTERS, Wanted, choose_runs, matching, unmatched
from snapshot_source import Condition, Source
from stagekit.problems import Problem, StageError

TEXT, WHOLE, YES = pl.String, pl.Int64, pl.Boolean
_NAMED = {"id": WHOLE, "name": TEXT}
_RUNS = (
    "SELECT r.id, m.name AS model, s.name AS scenario, r.version, r.is_default FROM run r"
    " JOIN model m ON m.id = r.model__id JOIN scenario s ON s.id = r.scenario__id"
)
_MEASURANDS = (
    "SELECT q.id, v.name AS variable, u.name AS unit FROM iamc_measurand q"
    " JOIN iamc_variable v ON v.id = q.variable__id JOIN unit u ON u.id = q.unit__id"
)
_META = (
    'SELECT run__id AS run, "key" AS indicator, dtype, value_int, value_float, value_str,'
    " value_bool FROM runmetaentry"
)
_META_TYPES = {
    "run": WHOLE, "indicator": TEXT, "dtype": TEXT, "value_int": WHOLE,
    "value_float": pl.Float64, "value_str": TEXT, "value_bool": YES,
}  # fmt: skip


@dataclass
class Tables:
    """The selected part of the small tables, each sorted by its names.

    Attributes
    ----------
    runs, regions, measurands : polars.DataFrame
        With ``id``; a row's place in them is what `series` refers to.
    units : polars.DataFrame
        All units of the platform.
    meta : polars.DataFrame
        Indicators of these runs, one row each; ``run`` is a place in `runs`.
    series : polars.DataFrame
        ``id``, ``run``, ``region``, ``measurand`` (places), sorted by these three.
    condition : mapping
        What the database is to be asked for: allowed ids by column of ``iamc_timeseries``.
    """

    runs: pl.DataFrame
    regions: pl.DataFrame
    measurands: pl.DataFrame
    units: pl.DataFrame
    meta: pl.DataFrame
    series: pl.DataFrame
    condition: Condition


def select(source: Source, wanted: Wanted) -> Tables:
    """Read the small tables and choose what is wanted.

    Raises
    ------
    StageError
        ``nothing_selected`` with a problem for each pattern and run that is not there.
    """
    runs = source.table(_RUNS, {"id": WHOLE, "model": TEXT, "scenario": TEXT, "version": WHOLE,
                                "is_default": YES})  # fmt: skip
    regions = source.table(
        "SELECT id, name, hierarchy FROM region", {**_NAMED, "hierarchy": TEXT}
    ).sort("name")
    schema = {"id": WHOLE, "variable": TEXT, "unit": TEXT}
    measurands = source.table(_MEASURANDS, schema).sort("variable", "unit")
    units = source.table("SELECT id, name FROM unit", _NAMED).sort("name")
    known = (runs["model"], runs["scenario"], regions["name"], measurands["variable"])
    problems = list(unmatched(wanted.filters, dict(zip(FILTERS, known, strict=True))))
    everything = runs.height
    runs, further = choose_runs(runs, wanted)
    if problems := problems + further:
        raise _nothing(problems)
    condition = {}
    if runs.height < everything:
        condition["run__id"] = runs["id"]
    if "region" in wanted.filters:
        regions = regions.filter(matching(regions["name"], wanted.filters["region"]))
        condition["region__id"] = regions["id"]
    if "variable" in wanted.filters:
        chosen = matching(measurands["variable"], wanted.filters["variable"])
        measurands = measurands.filter(chosen)
        condition["measurand__id"] = measurands["id"]
    runs = runs.sort("model", "scenario", "version")
    meta = source.table(_META, _META_TYPES)
    return Tables(
        runs=runs,
        regions=regions,
        measurands=measurands,
        units=units,
        meta=meta.with_columns(_place(meta["run"], runs)).filter(pl.col("run").is_not_null()),
        series=_series(source.series(condition), runs, regions, measurands),
        condition=condition,
    )


def _series(
    found: pl.DataFrame, runs: pl.DataFrame, regions: pl.DataFrame, measurands: pl.DataFrame
) -> pl.DataFrame:
    return found.select(
        "id",
        _place(found["run__id"], runs).alias("run"),
        _place(found["region__id"], regions).alias("region"),
        _place(found["measurand__id"], measurands).alias("measurand"),
    ).sort("run", "region", "measurand")


def _place(ids: pl.Series, table: pl.DataFrame) -> pl.Series:
    """Give the number of the row of `table` that has each id; null where none has."""
    places = table.select("id").with_row_index("place").cast({"place": pl.Int32})
    joined = ids.to_frame("id").join(places, on="id", how="left", maintain_order="left")
    return joined["place"].rename(ids.name)


def _nothing(problems: list[Problem]) -> StageError:
    lines = [f"- {problem.message}" for problem in problems[:10]]
    more = len(problems) - len(lines)
    if more:
        lines.append(f"- and {more} more, see problems.csv")
    return StageError(
        "nothing_selected", "Some of what is asked for is not there:\n" + "\n".join(lines), problems
    )
