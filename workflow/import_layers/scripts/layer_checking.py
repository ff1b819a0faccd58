"""The checks of a layer, in their order: names first, then shapes, then how these meet."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import geopandas as gpd
import layer_mapping
import layer_names
import layer_overlaps
import layer_shapes
import shapely
from layer_levels import degrees
from layer_names import Place
from stagekit.problems import Problem, StageError

WORLD = "EPSG:4326"
ROW = "shape"


@dataclass(frozen=True)
class Checked:
    """A layer after all checks: its shapes, all problems, and a document about them."""

    shapes: gpd.GeoDataFrame
    problems: list[Problem]
    document: dict[str, Any]


def check(
    table: gpd.GeoDataFrame,
    source: Mapping[str, Any],
    known: Collection[str],
    mapping: Mapping[str, str],
    args: argparse.Namespace,
) -> Checked:
    """Check a layer.

    Parameters
    ----------
    table : geopandas.GeoDataFrame
        What the stage read wrote.
    source : mapping
        Its description.
    known : collection of str
        The platform's regions.
    mapping : mapping of str to str
        New names; an empty one leaves a shape out.
    args : argparse.Namespace
        Options of the stage.

    Raises
    ------
    StageError
        If the column with the names is not clear, or nothing is left.
    """
    columns = list(source["columns"])
    column = layer_names.choose_column(table, columns, args.name_column, known, mapping)
    place = Place(source["file"], source["layer"], column)
    problems = list(_about_source(source, place))
    shapes, left_out = _named(table, column, mapping, known, args.unknown_regions)
    problems += _name_problems(table, column, shapes, left_out, mapping, known, place, args)
    if not args.dissolve:
        problems += layer_names.duplicated(shapes, place)
    done = layer_shapes.prepare(shapes, place)
    problems += done.problems
    if done.shapes.empty and not any(problem.severity == "error" for problem in problems):
        raise StageError("no_polygons", f"{source['file']} has no polygon that could be a region.")
    regions = one_each(done.shapes)
    refuse = args.missing_regions == "refuse"
    problems += layer_names.missing(set(regions["region"]), known, place, refuse=refuse)
    if not any(problem.severity == "error" for problem in problems):
        regions, met = _meeting(regions, place, args.close_gaps)
        problems += met
    document = {
        "name_column": column,
        "regions": len(regions),
        "renamed": _renamed(shapes),
        "left_out": sorted(left_out),
        "missing": sorted(set(known) - set(regions["region"])),
        "repairs": done.repairs,
        "cuts": done.cuts,
        "dissolved": int(len(done.shapes) - len(regions)),
    }
    return Checked(regions, problems, document)


def _about_source(source: Mapping[str, Any], place: Place) -> Iterator[Problem]:
    if source["heights_dropped"]:
        yield replace(
            place.problem("heights_dropped", "Heights of the points were left out.", field=None),
            severity="note",
        )


def _named(
    table: gpd.GeoDataFrame,
    column: str,
    mapping: Mapping[str, str],
    known: Collection[str],
    unknown_regions: str,
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Give the shapes that are to be regions, and the names of those that are left out."""
    names = table[column].map(lambda value: value.strip() if isinstance(value, str) else None)
    shapes = gpd.GeoDataFrame(
        {ROW: table[ROW], "name": names, "region": layer_mapping.renamed(names, mapping)},
        geometry=table.geometry,
        crs=table.crs,
    )
    out = shapes["name"].notna() & shapes["region"].isna()
    if unknown_regions == "leave_out":
        out |= shapes["region"].notna() & ~shapes["region"].isin(known)
    unnamed = shapes["name"].isna() | (shapes["name"] == "")
    return shapes[~out & ~unnamed].copy(), shapes["name"][out & ~unnamed].to_list()


def _name_problems(
    table: gpd.GeoDataFrame,
    column: str,
    shapes: gpd.GeoDataFrame,
    left_out: Collection[str],
    mapping: Mapping[str, str],
    known: Collection[str],
    place: Place,
    args: argparse.Namespace,
) -> Iterator[Problem]:
    empty = table[column].isna() | (table[column].map(str).str.strip() == "")
    if empty.any():
        count = int(empty.sum())
        said = "A shape has" if count == 1 else f"{count} shapes have"
        message = f"{said} no name in the column {column!r}."
        yield place.problem("missing_name", message, table[ROW][empty].to_list())
    names = table[column].map(lambda value: value.strip() if isinstance(value, str) else None)
    for old in layer_mapping.unused(names, mapping):
        message = f"No shape has the name {old!r} that the mapping replaces."
        yield replace(place.problem("unused_mapping", message, value=old), severity="warning")
    if args.unknown_regions == "leave_out":
        out = table[names.isin(left_out)]
        gone = gpd.pd.DataFrame({ROW: out[ROW], "name": names[out.index]})
        gone["region"] = layer_mapping.renamed(gone["name"], mapping)
        shapes = gone.dropna(subset="region")
    yield from layer_names.unknown(shapes, known, place, args.unknown_regions)


def one_each(shapes: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Give one multipolygon per region, sorted by name; ``shapes`` counts what it is made of."""
    names, merged, counts = [], [], []
    for region, rows in shapes.groupby("region", sort=True):
        geometries = rows.geometry.to_numpy()
        whole = geometries[0] if len(geometries) == 1 else shapely.union_all(geometries)
        parts = shapely.get_parts(whole)
        merged.append(shapely.multipolygons([p for p in parts if p.geom_type == "Polygon"]))
        names.append(region)
        counts.append(len(geometries))
    return gpd.GeoDataFrame({"region": names, "shapes": counts}, geometry=merged, crs=WORLD)


def _meeting(
    regions: gpd.GeoDataFrame, place: Place, close: str | None
) -> tuple[gpd.GeoDataFrame, list[Problem]]:
    """Say how regions meet; close gaps and remove overlaps where that is asked for."""
    if close:
        before = layer_shapes.areas(regions.geometry.to_numpy())
        regions = layer_overlaps.closed(regions, degrees(close, 0.0))
        after = layer_shapes.areas(regions.geometry.to_numpy())
        found = [
            replace(
                place.problem(
                    "borders_closed",
                    f"Borders of {name!r} were closed: its area was {was:,.4g} km² and is"
                    f" {becomes:,.4g} km².",
                    value=name,
                ),
                severity="warning",
            )
            for name, was, becomes in zip(regions["region"], before, after, strict=True)
            if abs(was - becomes) > max(layer_overlaps.SMALLEST, 1e-9 * was)
        ]
        return regions[~regions.geometry.is_empty], found
    found = list(layer_overlaps.overlap_problems(layer_overlaps.overlaps(regions), place))
    west, south, east, north = regions.total_bounds
    width = max(east - west, north - south) / layer_overlaps.NARROW
    gaps = layer_overlaps.narrow_gaps(regions, width)
    return regions, [*found, *layer_overlaps.gap_problems(gaps, place, width)]


def _renamed(shapes: gpd.GeoDataFrame) -> list[dict[str, str]]:
    changed = shapes[shapes["name"] != shapes["region"]][["name", "region"]].drop_duplicates()
    return [
        {"from": row.name_, "to": row.region}
        for row in changed.rename(columns={"name": "name_"}).itertuples()
    ]
