"""Whether a snapshot fits into workbooks, known before its datapoints are read."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from snapshot_source import Source
from snapshot_tables import Tables
from stagekit.problems import Problem, StageError

ROWS = 1_048_576  # of a sheet, its header included
COLUMNS = 16_384
SPLIT = {"none": [], "model": ["model"], "scenario": ["model", "scenario"]}
_PARTS = (
    "SELECT time_series__id AS id, count(DISTINCT step_category) - 1"
    " + max(CASE WHEN step_category IS NULL AND step_year IS NOT NULL THEN 1 ELSE 0 END) AS more"
    " FROM iamc_datapoint_universal WHERE time_series__id IN"
    " (SELECT time_series__id FROM iamc_datapoint_universal WHERE step_category IS NOT NULL)"
    " GROUP BY time_series__id"
)


def must_fit(formats: Sequence[str], split_by: str, source: Source, tables: Tables) -> None:
    """Make sure that the rows of a workbook that is asked for fit into a sheet.

    Parameters
    ----------
    formats : sequence of str
        Of these only ``xlsx`` has limits.
    split_by : {"none", "model", "scenario"}
        How many workbooks there will be.
    source : Source
        Asked how many parts of years its timeseries have, each of which takes a row.
    tables : Tables
        The selected timeseries.

    Raises
    ------
    StageError
        ``too_large_for_xlsx`` with the numbers.
    """
    if "xlsx" not in formats:
        return
    more = source.table(_PARTS, {"id": pl.Int64, "more": pl.Int64})
    runs = tables.runs.with_row_index("run").with_columns(pl.col("run").cast(pl.Int32))
    rows = (
        tables.series.lazy()
        .join(more.lazy(), on="id", how="left")
        .group_by("run")
        .agg(rows=pl.len() + pl.col("more").fill_null(0).sum())
        .join(runs.lazy(), on="run")
        .group_by(SPLIT[split_by] or pl.lit("all data").alias("name"))
        .agg(pl.col("rows").sum())
        .filter(pl.col("rows") > ROWS - 1)
        .sort("rows", descending=True)
        .collect()
    )
    if rows.height:
        raise _too_large([(" / ".join(map(str, row[:-1])), row[-1]) for row in rows.iter_rows()])


def _too_large(found: list[tuple[str, int]]) -> StageError:
    problems = [
        Problem(
            "too_large_for_xlsx",
            f"{name}: {rows:,} rows; a sheet has room for {ROWS - 1:,} below its header.",
            field="formats",
            value=name,
        )
        for name, rows in found
    ]
    lines = "\n".join(f"- {problem.message}" for problem in problems[:10])
    return StageError(
        "too_large_for_xlsx",
        "/params/formats: xlsx is asked for, and this does not fit into it:\n"
        f"{lines}\nLeave xlsx out, choose less data, or set split_by to make more files.",
        problems,
    )


def check_columns(columns: int, name: str) -> None:
    """Make sure that the columns of a sheet fit.

    Raises
    ------
    StageError
        ``too_large_for_xlsx`` if they do not.
    """
    if columns > COLUMNS:
        raise StageError(
            "too_large_for_xlsx",
            f"/params/formats: xlsx is asked for, but {name} needs {columns:,} columns, one for"
            f" each time; a sheet has {COLUMNS:,}. Leave xlsx out, or choose less data.",
        )
