"""Shapes made fit for a map: polygons only, valid, in the world, cut at the antimeridian."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import geopandas as gpd
import layer_antimeridian
import numpy as np
import pandas as pd
import shapely
from layer_names import Place
from numpy.typing import NDArray
from stagekit.problems import Problem

WORLD = "EPSG:4326"
EQUAL_AREA = "EPSG:6933"  # cylindrical, on WGS 84: areas in m² are those on the ground
TOO_FAR = 360.0  # longitudes to which some files count
POLYGONS = ("Polygon", "MultiPolygon")
_PLACED = re.compile(r"(.+?)\[(\S+) (\S+)\]")


@dataclass
class Prepared:
    """Shapes after all that could be repaired was.

    Attributes
    ----------
    shapes : geopandas.GeoDataFrame
        Columns ``shape``, ``name``, ``region`` and the multipolygons.
    problems : list of Problem
        What is wrong (errors), and what was changed (warnings).
    repairs : list of dict
        For each repaired shape: ``region``, ``shape``, ``reason``, ``area_before`` and
        ``area_after`` in km².
    cuts : list of dict
        Shapes that cross the antimeridian: ``region``, ``shape``.
    """

    shapes: gpd.GeoDataFrame
    problems: list[Problem] = field(default_factory=list)
    repairs: list[dict[str, Any]] = field(default_factory=list)
    cuts: list[dict[str, Any]] = field(default_factory=list)


def prepare(shapes: gpd.GeoDataFrame, place: Place) -> Prepared:
    """Check and repair shapes.

    Parameters
    ----------
    shapes : geopandas.GeoDataFrame
        Columns ``shape``, ``name``, ``region``, geometry in EPSG:4326.
    place : Place
        Where they stand.
    """
    done = Prepared(shapes)
    _only_polygons(done, place)
    _in_the_world(done, place)
    if not done.shapes.empty:
        _repaired_and_cut(done, place)
    return done


def areas(shapes: gpd.GeoSeries | NDArray[Any]) -> NDArray[np.float64]:
    """Give areas in km²."""
    series = gpd.GeoSeries(shapes, crs=WORLD)
    return np.asarray(series.to_crs(EQUAL_AREA).area) / 1e6


def _only_polygons(done: Prepared, place: Place) -> None:
    table = done.shapes
    nothing = table.geometry.isna() | table.geometry.is_empty
    for row in table[nothing].itertuples():
        message = f"{row.region!r} has no shape: left out."
        found = place.problem("empty_shape", message, [row.shape], value=row.region)
        done.problems.append(replace(found, severity="warning"))
    table = table[~nothing].copy()
    mixed = table.geometry.geom_type == "GeometryCollection"
    if mixed.any():
        table.loc[mixed, "geometry"] = [_polygons_of(g) for g in table.geometry[mixed]]
        lost = mixed & table.geometry.is_empty
        for row in table[mixed & ~lost].itertuples():
            message = f"{row.region!r} has points or lines beside its polygons: these are left out."
            found = place.problem("mixed_shape", message, [row.shape], value=row.region)
            done.problems.append(replace(found, severity="warning"))
    else:
        lost = mixed
    wrong = lost | ~table.geometry.geom_type.isin(POLYGONS)
    for kind, rows in table[wrong].groupby(table.geometry[wrong].geom_type):
        listed = ", ".join(repr(name) for name in rows["region"][:5])
        message = (
            f"{_are_no_polygons(len(rows))} but {kind}: {listed}"
            f"{' and others' if len(rows) > 5 else ''}. Remove them, or rename them to nothing with"
            " mapping."
        )
        done.problems.append(place.problem("not_a_polygon", message, list(rows["shape"])))
    done.shapes = table[~wrong]


def _are_no_polygons(count: int) -> str:
    return "A shape is no polygon" if count == 1 else f"{count} shapes are no polygons"


def _polygons_of(collection: Any) -> Any:
    parts = [p for p in _flat(collection) if p.geom_type == "Polygon" and not p.is_empty]
    return shapely.multipolygons(parts)


def _flat(shape: Any) -> Iterator[Any]:
    for part in shapely.get_parts(shape):
        if part.geom_type in ("GeometryCollection", "MultiPolygon"):
            yield from _flat(part)
        else:
            yield part


def _in_the_world(done: Prepared, place: Place) -> None:
    table = done.shapes
    if table.empty:
        return
    clean = layer_antimeridian.rounded(table.geometry.to_numpy())
    bounds = shapely.bounds(clean)
    wrong = ~np.isfinite(bounds).all(axis=1)
    wrong |= (np.abs(bounds[:, [1, 3]]) > 90).any(axis=1)
    wrong |= (np.abs(bounds[:, [0, 2]]) > TOO_FAR).any(axis=1)
    wrong |= bounds[:, 2] - bounds[:, 0] > 360
    table = table.set_geometry(clean, crs=WORLD)
    for row, (west, south, east, north) in zip(
        table[wrong].itertuples(), bounds[wrong], strict=True
    ):
        message = (
            f"{row.region!r} reaches from {west:.6g} to {east:.6g} in longitude and from"
            f" {south:.6g} to {north:.6g} in latitude: that is outside the world. The file names a"
            " wrong coordinate reference system, or these are no degrees."
        )
        done.problems.append(place.problem("outside_world", message, [row.shape], value=row.region))
    done.shapes = table[~wrong]


def _repaired_and_cut(done: Prepared, place: Place) -> None:
    table = done.shapes
    shapes = table.geometry.to_numpy().copy()
    crossing = layer_antimeridian.needs_cut(shapes)
    for at in np.flatnonzero(crossing):
        shapes[at] = layer_antimeridian.laid_out(shapes[at])
    invalid = ~shapely.is_valid(shapes)
    before = shapes[invalid].copy()
    reasons = [_reason(text) for text in shapely.is_valid_reason(before)]
    shapes[invalid] = shapely.make_valid(before, method="structure", keep_collapsed=False)
    for at in np.flatnonzero(crossing):
        shapes[at], crossed = layer_antimeridian.cut(shapes[at])
        if crossed:
            _note_cut(done, place, table.iloc[at])
    gone = shapely.is_empty(shapes)
    _note_repairs(done, place, table[invalid], before, shapes[invalid], reasons)
    done.shapes = table.set_geometry(_multi(shapes), crs=WORLD)[~gone]


def _reason(text: str) -> str:
    """Write what GEOS says for people, with the place to a few metres."""
    found = _PLACED.fullmatch(text)
    if found is None:
        return text
    longitude = (float(found[2]) + 180) % 360 - 180
    return f"{found[1]} near {longitude:.4f}, {float(found[3]):.4f}"


def _multi(shapes: NDArray[Any]) -> list[Any]:
    return [
        shapely.multipolygons([p for p in _flat(s) if p.geom_type == "Polygon"]) for s in shapes
    ]


def _note_cut(done: Prepared, place: Place, row: pd.Series) -> None:
    message = f"{row.region!r} crosses the antimeridian: it was cut there, as RFC 7946 wants it."
    found = place.problem("antimeridian", message, [int(row["shape"])], value=row.region)
    done.problems.append(replace(found, severity="note"))
    done.cuts.append({"region": row.region, "shape": int(row["shape"])})


def _note_repairs(
    done: Prepared,
    place: Place,
    rows: pd.DataFrame,
    before: NDArray[Any],
    after: NDArray[Any],
    reasons: list[str],
) -> None:
    if rows.empty:
        return
    old, new = areas(before), areas(after)
    for row, reason, was, becomes in zip(rows.itertuples(), reasons, old, new, strict=True):
        if becomes == 0:
            message = f"{row.region!r} has no area ({reason}): it cannot be repaired."
            done.problems.append(
                place.problem("collapsed_shape", message, [row.shape], value=row.region)
            )
            continue
        repair = {
            "region": row.region,
            "shape": int(row.shape),
            "reason": reason,
            "area_before": round(float(was), 3),
            "area_after": round(float(becomes), 3),
        }
        done.repairs.append(repair)
        message = f"{row.region!r} was no valid polygon ({reason}): repaired, {changed(repair)}."
        found = place.problem("repaired_shape", message, [row.shape], value=row.region)
        done.problems.append(replace(found, severity="warning"))


def changed(repair: dict[str, Any]) -> str:
    """Say how a repair changed an area."""
    was, becomes = repair["area_before"], repair["area_after"]
    if abs(becomes - was) <= 0.0005 * max(was, becomes):
        return f"its area stays {becomes:,.0f} km²"
    return f"its area was {was:,.0f} km² and is {becomes:,.0f} km²"
