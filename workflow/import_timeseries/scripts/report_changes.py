"""What processing did: datapoints kept, changed, added and removed, and regions renamed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl
from report_data import SERIES

TOLERANCE = 1e-9  # relative; smaller differences come from reading and writing, not from processing


@dataclass
class Changes:
    """Differences between submitted and stored data, in datapoints.

    Attributes
    ----------
    kept : int
        The same value under the same name; under its region's new name if that was renamed.
    renamed : int
        Those of them that stand under a new region name.
    changed, added, removed : int
        Another value; not submitted; not stored.
    renames : list of dict
        ``model``, ``from``, ``to``, ``datapoints``.
    regions, variables : list of dict
        ``name``, ``submitted``, ``stored``, ``added``, ``removed``, ``changed``; those with any
        difference first.
    values : list of dict
        The largest changes of a value, relative to what it was.
    """

    kept: int = 0
    renamed: int = 0
    changed: int = 0
    added: int = 0
    removed: int = 0
    renames: list[dict[str, Any]] = field(default_factory=list)
    regions: list[dict[str, Any]] = field(default_factory=list)
    variables: list[dict[str, Any]] = field(default_factory=list)
    values: list[dict[str, Any]] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Whether processing made a difference at all."""
        return bool(self.renamed or self.changed or self.added or self.removed)

    def names(self, kind: str, column: str) -> list[str]:
        """Name the regions or variables that are new ("added") or gone ("removed")."""
        rows: list[dict[str, Any]] = getattr(self, column)
        other = "submitted" if kind == "added" else "stored"
        return sorted(row["name"] for row in rows if row[kind] and not row[other])


def compare(submitted: pl.DataFrame, stored: pl.DataFrame, time: list[str], top: int) -> Changes:
    """Compare two tables datapoint by datapoint.

    Parameters
    ----------
    submitted, stored : polars.DataFrame
        Columns `SERIES`, those in `time`, and ``value``.
    time : list of str
        Names of the time columns.
    top : int
        How many changed values to list.

    Returns
    -------
    Changes
    """
    found = Changes(renames=_renames(submitted, stored, time))
    old_name = submitted["region"]
    submitted = _with_new_names(submitted, found.renames)
    found.renamed = int((submitted["region"] != old_name).sum())
    keys = [*SERIES, *time]
    both = submitted.rename({"value": "before"}).join(
        stored.rename({"value": "after"}), on=keys, how="full", coalesce=True, nulls_equal=True
    )
    before, after = pl.col("before"), pl.col("after")
    difference = (after - before).abs()
    limit = TOLERANCE * pl.max_horizontal(before.abs(), after.abs())
    both = both.with_columns(
        added=before.is_null(),
        removed=after.is_null(),
        changed=(difference > limit).fill_null(False),
    )
    totals = both.select(pl.col("added", "removed", "changed").sum()).row(0)
    found.added, found.removed, found.changed = totals
    found.kept = both.height - sum(totals)
    found.renamed -= int(
        both.filter(pl.col("changed") | pl.col("removed"))
        .join(_renamed_to(found.renames), on=["model", "region"], how="semi")
        .height
    )
    found.regions, found.variables = _by(both, "region"), _by(both, "variable")
    if found.changed:
        share = difference / pl.max_horizontal(before.abs(), pl.lit(1e-300))
        rows = both.filter("changed").with_columns(share=share)
        found.values = rows.top_k(top, by="share").sort("share", descending=True).to_dicts()
    return found


def _by(both: pl.DataFrame, column: str) -> list[dict[str, Any]]:
    counts = both.group_by(pl.col(column).alias("name")).agg(
        submitted=pl.col("before").count(),
        stored=pl.col("after").count(),
        added=pl.col("added").sum(),
        removed=pl.col("removed").sum(),
        changed=pl.col("changed").sum(),
    )
    touched = (pl.col("added") + pl.col("removed") + pl.col("changed")).alias("touched")
    order = counts.with_columns(touched).sort(["touched", "name"], descending=[True, False])
    return order.drop("touched").to_dicts()


def _renamed_to(renames: list[dict[str, Any]]) -> pl.DataFrame:
    rows = [(row["model"], row["to"]) for row in renames]
    return pl.DataFrame(rows, schema={"model": pl.String, "region": pl.String}, orient="row")


def _with_new_names(frame: pl.DataFrame, renames: list[dict[str, Any]]) -> pl.DataFrame:
    if not renames:
        return frame
    rows = [(row["model"], row["from"], row["to"]) for row in renames]
    schema = {"model": pl.String, "region": pl.String, "to": pl.String}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    joined = frame.join(table, on=["model", "region"], how="left", maintain_order="left")
    return joined.with_columns(region=pl.coalesce("to", "region")).drop("to")


def _fingerprints(frame: pl.DataFrame, time: list[str]) -> pl.DataFrame:
    """Give each region of a model a number that its content decides, whatever its name."""
    content = pl.struct("scenario", "variable", "unit", *time, "value").hash(seed=1)
    return frame.group_by("model", "region").agg(content=content.sum(), datapoints=pl.len())


def _renames(
    submitted: pl.DataFrame, stored: pl.DataFrame, time: list[str]
) -> list[dict[str, Any]]:
    """Find the regions that stand in the stored data under another name.

    A submitted region that is gone was renamed if a new region of the same model has the same
    content, or the name ``…|<old name>``. Where several fit, the name that holds the old one wins.
    """
    names = ["model", "region"]
    gone = submitted.join(stored.select(names).unique(), on=names, how="anti")
    new = stored.join(submitted.select(names).unique(), on=names, how="anti")
    if gone.is_empty() or new.is_empty():
        return []
    pairs = _fingerprints(gone, time).join(_fingerprints(new, time), on="model", suffix="_new")
    old, now = pl.col("region"), pl.col("region_new")
    inside = now.str.ends_with(pl.format("|{}", old))
    same = pl.col("content") == pl.col("content_new")
    found = (
        pairs.filter(same | inside)
        .with_columns(inside=inside, same=same)
        .sort(
            ["inside", "same", "model", "region", "region_new"],
            descending=[True, True] + [False] * 3,
        )
        .unique(["model", "region"], keep="first", maintain_order=True)
        .unique(["model", "region_new"], keep="first", maintain_order=True)
        .sort("model", "region")
    )
    columns = {"region": "from", "region_new": "to"}
    return found.select("model", *columns, "datapoints").rename(columns).to_dicts()
