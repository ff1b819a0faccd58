"""Names of shapes against the regions of the platform."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from stagekit.nearest import did_you_mean, nearest
from stagekit.problems import Problem, StageError, ranges

USUAL = ("region", "name")  # names of columns that have names, if nothing else tells
HELPED = 50  # unknown names that get suggestions, which take time
SAMPLES = 3


@dataclass(frozen=True)
class Place:
    """Where a layer stands, for problems."""

    file: str
    layer: str | None
    column: str | None = None

    def problem(self, code: str, message: str, shapes: Sequence[int] = (), **more: Any) -> Problem:
        """Describe something about shapes, by their numbers in the file."""
        return Problem(
            code,
            message,
            file=self.file,
            sheet=self.layer,
            row=min(shapes) if shapes else None,
            rows=ranges(shapes) if shapes else None,
            count=max(len(shapes), 1),
            **{"field": self.column, **more},
        )


def choose_column(
    table: pd.DataFrame,
    columns: Sequence[str],
    asked: str | None,
    known: Collection[str],
    mapping: Mapping[str, str],
) -> str:
    """Find the column with the names of the regions.

    Parameters
    ----------
    table : pandas.DataFrame
        The shapes.
    columns : sequence of str
        Its columns with text.
    asked : str or None
        The column that the submitter names.
    known : collection of str
        The platform's regions.
    mapping : mapping of str to str
        New names of names.

    Raises
    ------
    StageError
        ``unknown_column``, ``no_name_column``, or ``several_name_columns``.
    """
    if asked is not None:
        if asked in columns:
            return asked
        raise StageError(
            "unknown_column",
            f"The layer has no column {asked!r} with text; it has {', '.join(columns) or 'none'}."
            f"{did_you_mean(nearest(asked, columns))}",
        )
    hits = {
        name: int(table[name].map(lambda v: mapping.get(v, v)).isin(known).sum())
        for name in columns
    }
    matching = [name for name in columns if hits[name]]
    if matching and all(table[name].equals(table[matching[0]]) for name in matching):
        return matching[0]
    if len(matching) > 1:
        counted = ", ".join(f"{name} ({hits[name]} shapes)" for name in matching)
        raise StageError(
            "several_name_columns",
            f"Several columns have names of regions of the platform: {counted}. Choose one with the"
            " parameter name_column.",
        )
    return _usual(table, columns)


def _usual(table: pd.DataFrame, columns: Sequence[str]) -> str:
    """Choose where no name is known, so that at least the nearest names can be told."""
    usual = [name for name in columns if name.casefold() in USUAL]
    if len(usual) == 1 or len(columns) == 1:
        return (usual or list(columns))[0]
    if not columns:
        raise StageError(
            "no_name_column",
            "No column of the layer has text: the names of the regions are missing.",
        )
    shown = "; ".join(
        f"{name}: {', '.join(str(v) for v in table[name].dropna().unique()[:SAMPLES])}"
        for name in columns
    )
    raise StageError(
        "no_name_column",
        "No column of the layer has the name of a region of the platform. Choose one with the"
        f" parameter name_column, and rename with mapping. The columns are: {shown}.",
    )


def unknown(
    shapes: pd.DataFrame, known: Collection[str], place: Place, what: str
) -> Iterator[Problem]:
    """Describe names that are no region of the platform.

    Parameters
    ----------
    shapes : pandas.DataFrame
        Columns ``shape``, ``name`` (in the file) and ``region``.
    what : {"refuse", "leave_out", "keep"}
        What becomes of them.
    """
    names = shapes[~shapes["region"].isin(known)]
    if not known and what == "refuse":
        message = (
            "The platform has no regions yet, so that no name can be compared. Import data first,"
            " or choose unknown_regions: keep."
        )
        yield place.problem("no_regions", message, list(names["shape"]))
        return
    regions = sorted(known)
    for number, (region, rows) in enumerate(names.groupby("region", sort=False)):
        near = tuple(nearest(region, regions)) if number < HELPED else ()
        old = rows["name"].iloc[0]
        source = "" if old == region else f" (of {old!r}, by the mapping)"
        said = f"{region!r}{source} is no region of the platform"
        ends = {
            "refuse": f"{said}.{did_you_mean(near)}",
            "leave_out": f"{said}: left out.{did_you_mean(near)}",
            "keep": f"{said}: kept all the same.{did_you_mean(near)}",
        }
        found = place.problem(
            "unknown_region", ends[what], list(rows["shape"]), value=region, suggestions=near
        )
        yield found if what == "refuse" else replace(found, severity="warning")


def duplicated(shapes: pd.DataFrame, place: Place) -> Iterator[Problem]:
    """Describe regions that several shapes have."""
    for region, rows in shapes.groupby("region", sort=False):
        if len(rows) > 1:
            message = (
                f"{len(rows)} shapes are the region {region!r}. Rename all but one, or choose"
                " dissolve: true to make one shape of them."
            )
            yield place.problem("duplicate_region", message, list(rows["shape"]), value=region)


def missing(
    regions: Collection[str], known: Collection[str], place: Place, *, refuse: bool
) -> Iterator[Problem]:
    """Describe regions of the platform that the layer does not have."""
    absent = sorted(set(known) - set(regions))
    if not absent:
        return
    if refuse:
        for name in absent:
            message = f"The platform's region {name!r} is not in the layer."
            yield place.problem("missing_region", message, value=name)
        return
    listed = ", ".join(absent[:10]) + (f" and {len(absent) - 10} more" if len(absent) > 10 else "")
    said = (
        "1 region of the platform is"
        if len(absent) == 1
        else f"{len(absent)} regions of the platform are"
    )
    message = f"{said} not in the layer: {listed}."
    yield replace(
        place.problem("missing_region", message, value=str(len(absent))),
        severity="note",
        count=len(absent),
    )
