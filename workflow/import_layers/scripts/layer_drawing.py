"""The map of a layer as a drawing: projected outlines, colours and labels, for PNG and SVG alike.

A layer of the world is drawn in the Equal Earth projection (Šavrič, Patterson and Jenny 2018), any
other in Lambert's azimuthal equal-area projection around its middle: areas are comparable in both.
"""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import layer_labels
import numpy as np
import shapely
from layer_bounds import extent
from numpy.typing import NDArray

WIDTH = 1000.0  # of the drawing; a unit is about a pixel
MARGIN = 12.0
MOST_POINTS = 40_000  # of a drawing; the report has it in its text
WIDE = 140.0  # degrees; above, it is the world that is drawn
TALL, FLAT = 1.0, 0.42  # limits of the height as a share of the width
SMOOTH = 2.0  # degrees between points of a long straight line
COLOURS = 8
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30)
Box = tuple[float, float, float, float]


def choose(levels: dict[str, gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """Give the most detailed level that is light enough to be drawn."""
    points = {
        name: int(shapely.get_num_coordinates(table.geometry.to_numpy()).sum())
        for name, table in levels.items()
    }
    light = [name for name in levels if points[name] <= MOST_POINTS]
    best = max(light, key=points.__getitem__) if light else min(points, key=points.__getitem__)
    return levels[best]


def draw(table: gpd.GeoDataFrame, box: Box) -> dict[str, Any]:
    """Make the drawing.

    Parameters
    ----------
    table : geopandas.GeoDataFrame
        Column ``region``, multipolygons that are cut at the antimeridian.
    box : tuple of float
        West, south, east, north; west may be greater than east.

    Returns
    -------
    dict
        ``width`` and ``height``; ``sea`` and ``lines`` (paths); ``regions``, the largest first,
        each with ``name``, ``colour`` (a number), ``path`` and ``label``. A path is a list of rings
        of points, its origin at the top left.
    """
    world = extent(box) > WIDE
    project = _projection(world, box)
    shapes = [_smooth(shape) for shape in table.geometry]
    series = gpd.GeoSeries(shapes, crs=table.crs).to_crs(project).to_numpy()
    if box[0] > box[2]:  # the cut lies in the middle of this map
        series = np.asarray(
            [shapely.union_all(shapely.get_parts(s), grid_size=1.0) for s in series]
        )
    frame = gpd.GeoSeries([_globe() if world else shapely.Point()], crs=table.crs).to_crs(project)
    west, south, east, north = shapely.total_bounds(frame.to_numpy() if world else series)
    scale = (WIDTH - 2 * MARGIN) / (east - west)
    height = min(max((north - south) * scale + 2 * MARGIN, FLAT * WIDTH), TALL * WIDTH)
    scale = min(scale, (height - 2 * MARGIN) / (north - south))
    middle = np.array([(west + east) / 2, (south + north) / 2])

    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        placed = (points - middle) * [scale, -scale] + [WIDTH / 2, height / 2]
        return np.round(placed, 1)

    placed = [shapely.transform(shape, place) for shape in series]
    order = sorted(range(len(placed)), key=lambda i: -placed[i].area)
    colours = _colours(table.geometry.to_numpy())
    labels = layer_labels.labels(
        [placed[i] for i in order], [table["region"].iloc[i] for i in order]
    )
    lines = gpd.GeoSeries(_graticule(world, box), crs=table.crs).to_crs(project).to_numpy()
    sheet = shapely.box(0, 0, WIDTH, height)
    if world:
        sheet = shapely.transform(frame.iloc[0], place)
    drawn = [shapely.intersection(shapely.transform(line, place), sheet) for line in lines]
    return {
        "width": WIDTH,
        "height": round(height, 1),
        "sea": path(sheet),
        "lines": [ring for line in drawn for ring in path(line)],
        "regions": [
            {
                "name": str(table["region"].iloc[i]),
                "area_km2": float(table["area_km2"].iloc[i]),
                "colour": colours[i],
                "path": path(placed[i]),
                "label": label,
            }
            for i, label in zip(order, labels, strict=True)
        ],
    }


def path(shape: Any) -> list[list[list[float]]]:
    """Give the rings of a polygon, or the points of a line, of any number of parts."""
    rings: list[list[list[float]]] = []
    for part in shapely.get_parts(shape):
        if part.is_empty:
            continue
        if part.geom_type == "Polygon":
            lines = [part.exterior, *part.interiors]
        elif part.geom_type == "LineString":
            lines = [part]
        else:
            continue
        rings += [_without_repeats(shapely.get_coordinates(line)) for line in lines]
    return rings


def _without_repeats(points: NDArray[np.float64]) -> list[list[float]]:
    keep = np.append(True, (np.diff(points, axis=0) != 0).any(axis=1))
    kept: list[list[float]] = np.round(points[keep], 1).tolist()
    return kept


def _projection(world: bool, box: Box) -> str:
    if world:
        return "+proj=eqearth +lon_0=0 +datum=WGS84 +units=m"
    west, south, east, north = box
    middle = (west + east) / 2 if west <= east else ((west + east + 360) / 2 + 180) % 360 - 180
    return f"+proj=laea +lat_0={(south + north) / 2:.3f} +lon_0={middle:.3f} +datum=WGS84 +units=m"


def _smooth(shape: Any) -> Any:
    return shapely.segmentize(shape, SMOOTH)


def _globe() -> Any:
    return shapely.segmentize(shapely.box(-180, -90, 180, 90), SMOOTH)


def _graticule(world: bool, box: Box) -> list[Any]:
    step = 30.0
    west, south, east, north = box
    if not world:
        wanted = extent(box) / 4
        step = min(_STEPS, key=lambda s: abs(s - wanted))
        east = east if east >= west else east + 360
        west, south, east, north = west - step, south - step, east + step, north + step
    else:
        west, south, east, north = -180, -90, 180, 90
    south, north = max(south, -90), min(north, 90)
    meridians = np.arange(np.ceil(west / step) * step, east + step / 2, step)
    parallels = np.arange(np.ceil(south / step) * step, north + step / 2, step)
    lines = [[(x, south), (x, north)] for x in meridians if not world or abs(x) < 180]
    lines += [[(west, y), (east, y)] for y in parallels if abs(y) < 90]
    return [_smooth(shapely.linestrings(line)) for line in lines]


def _colours(shapes: NDArray[Any]) -> list[int]:
    """Give each shape a colour that none of its neighbours has, as far as there are enough."""
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    near: list[set[int]] = [set() for _ in shapes]
    for a, b in zip(first, second, strict=True):
        if a != b:
            near[int(a)].add(int(b))
    chosen = [-1] * len(shapes)
    used = [0] * COLOURS
    for at in sorted(range(len(shapes)), key=lambda i: -len(near[i])):
        taken = {chosen[other] for other in near[at]}
        free = [c for c in range(COLOURS) if c not in taken] or list(range(COLOURS))
        chosen[at] = min(free, key=lambda c: used[c])
        used[chosen[at]] += 1
    return chosen
