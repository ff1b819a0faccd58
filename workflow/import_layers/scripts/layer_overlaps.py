"""How the shapes of a layer meet: overlaps, narrow gaps, and borders closed on request."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from layer_levels import DEGREE
from layer_names import Place
from layer_shapes import areas
from numpy.typing import NDArray
from stagekit.problems import Problem

COVERS = 0.999  # share of a region that lies in another: the other is larger, by intention
NARROW = 16_000  # a gap is narrow below this part of the extent of the layer
SMALLEST = 1e-6  # km²; below, it is an error of rounding


@dataclass(frozen=True)
class Overlap:
    """Two regions that share an area (km²); `part` is the share of the smaller region."""

    first: str
    second: str
    area: float
    part: float


def overlaps(shapes: gpd.GeoDataFrame) -> list[Overlap]:
    """Give the regions that overlap, the largest area first."""
    geometries = shapes.geometry.to_numpy()
    names = shapes["region"].to_list()
    first, second = shapely.STRtree(geometries).query(geometries, predicate="intersects")
    first, second = first[first < second], second[first < second]
    shared = shapely.intersection(geometries[first], geometries[second])
    polygonal = shapely.area(shared) > 0
    first, second, shared = first[polygonal], second[polygonal], shared[polygonal]
    if not len(first):
        return []
    size, all_areas = areas(shared), areas(geometries)
    found = [
        Overlap(names[a], names[b], float(km2), float(km2 / min(all_areas[a], all_areas[b])))
        for a, b, km2 in zip(first, second, size, strict=True)
        if km2 > SMALLEST
    ]
    return sorted(found, key=lambda overlap: -overlap.area)


def narrow_gaps(shapes: gpd.GeoDataFrame, width: float) -> list[tuple[float, tuple[str, ...]]]:
    """Give enclosed gaps narrower than `width` degrees: area in km², and regions around."""
    geometries = shapes.geometry.to_numpy()
    holes = [
        shapely.polygons(ring)
        for part in shapely.get_parts(shapely.union_all(geometries))
        for ring in part.interiors
    ]
    thin = np.asarray([h for h in holes if 2 * h.area / h.length < width], dtype=object)
    if not len(thin):
        return []
    at, around = shapely.STRtree(geometries).query(thin, predicate="intersects")
    names = shapes["region"].to_numpy()
    sizes = areas(thin)
    found = [
        (float(sizes[i]), tuple(sorted(set(names[around[at == i]])))) for i in range(len(thin))
    ]
    return sorted(found, key=lambda gap: -gap[0])


def closed(shapes: gpd.GeoDataFrame, width: float) -> gpd.GeoDataFrame:
    """Close gaps up to `width` degrees, and give overlaps to the one with the longest border."""
    clean = shapely.coverage_clean(shapes.geometry.to_numpy(), gap_width=width)
    return shapes.set_geometry(_multipolygons(clean), crs=shapes.crs)


def _multipolygons(shapes: NDArray[Any]) -> list[Any]:
    return [
        shapely.multipolygons([p for p in shapely.get_parts(shape) if p.geom_type == "Polygon"])
        for shape in shapes
    ]


def overlap_problems(found: list[Overlap], place: Place) -> Iterator[Problem]:
    """Describe overlaps: one that lies in another is a note, any other a warning."""
    for overlap in found:
        inside = overlap.part >= COVERS
        how = "one lies in the other" if inside else f"{overlap.part:.2%} of the smaller"
        message = f"{overlap.first!r} and {overlap.second!r} share {overlap.area:,.4g} km² ({how})."
        problem = place.problem("overlap", message, value=f"{overlap.first}; {overlap.second}")
        yield replace(problem, severity="note" if inside else "warning")


def gap_problems(
    found: list[tuple[float, tuple[str, ...]]], place: Place, width: float
) -> Iterator[Problem]:
    """Describe gaps narrower than `width` degrees."""
    metres = math.ceil(width * DEGREE)
    for area, around in found:
        message = (
            f"Between {' and '.join(repr(name) for name in around)} is a narrow gap of {area:,.4g}"
            f" km². close_gaps, such as {metres} m, closes it."
        )
        yield replace(place.problem("gap", message, value="; ".join(around)), severity="warning")
