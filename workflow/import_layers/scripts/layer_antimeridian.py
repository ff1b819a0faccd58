"""Shapes across the antimeridian, cut there as RFC 7946 wants it (section 3.1.9).

A ring that crosses is written in files either with longitudes beyond 180, or with a jump from one
side of the map to the other. Both are laid out without jumps first, and cut then.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

DIGITS = 9  # a tenth of a millimetre: shapes that were moved by 360° still meet their neighbours
NOISE = 1e-6  # degrees beyond the world that are an error of rounding
_HALF, _WHOLE = 180.0, 360.0
Points: TypeAlias = NDArray[np.float64]


def needs_cut(shapes: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which shapes may cross: coordinates beyond 180, or a jump between neighbours."""
    bounds = shapely.bounds(shapes)
    found = (bounds[:, 0] < -_HALF) | (bounds[:, 2] > _HALF)
    points, index = shapely.get_coordinates(shapes, return_index=True)
    jump = np.abs(np.diff(points[:, 0])) > _HALF
    same = index[1:] == index[:-1]
    found[np.unique(index[1:][jump & same])] = True  # between two rings of a shape: no harm
    return np.asarray(found)


def rounded(shapes: NDArray[Any]) -> NDArray[Any]:
    """Round coordinates, and take noise at the edges of the world off."""

    def clean(points: Points) -> Points:
        points = np.round(points, DIGITS)
        for axis, edge in ((0, _HALF), (1, 90.0)):
            beyond = np.abs(points[:, axis]) - edge
            near = (beyond > 0) & (beyond <= NOISE)
            points[near, axis] = np.sign(points[near, axis]) * edge
        return points

    return np.asarray(shapely.transform(shapes, clean))


def laid_out(shape: Any) -> Any:
    """Give a (multi)polygon whose rings have no jumps; longitudes may go beyond 180."""
    polygons = [_polygon(part) for part in shapely.get_parts(shape)]
    return polygons[0] if len(polygons) == 1 else shapely.multipolygons(polygons)


def cut(shape: Any) -> tuple[Any, bool]:
    """Cut a valid shape at each ±180 and move its parts into the world.

    Returns
    -------
    shape : shapely.Geometry
        The parts, all between -180 and 180.
    crossed : bool
        Whether there are parts on both sides.
    """
    west, _, east, _ = shape.bounds
    parts, sheets = [], []
    for sheet in range(int(np.floor((west + _HALF) / _WHOLE)), int((east + _HALF) // _WHOLE) + 1):
        left = sheet * _WHOLE - _HALF
        part = shapely.intersection(shape, shapely.box(left, -90, left + _WHOLE, 90))
        pieces = [p for p in shapely.get_parts(part) if p.geom_type == "Polygon" and p.area > 0]
        if pieces:
            sheets.append(sheet)
        parts += [shapely.transform(piece, _moved(sheet * _WHOLE)) for piece in pieces]
    return shapely.multipolygons(parts), len(sheets) > 1


def _moved(degrees: float) -> Any:
    return lambda points: np.round(points - [degrees, 0.0], DIGITS)


def _polygon(part: Any) -> Any:
    shell = _ring(shapely.get_coordinates(part.exterior))
    west, east = shell[:, 0].min(), shell[:, 0].max()
    holes = []
    for interior in part.interiors:
        hole = _ring(shapely.get_coordinates(interior))
        middle = (hole[:, 0].min() + hole[:, 0].max()) / 2
        while middle < west:
            hole, middle = np.add(hole, [_WHOLE, 0.0]), middle + _WHOLE
        while middle > east:
            hole, middle = np.subtract(hole, [_WHOLE, 0.0]), middle - _WHOLE
        holes.append(np.round(hole, DIGITS))
    return shapely.Polygon(shell, holes)


def _ring(points: Points) -> Points:
    """Lay out one ring; its first point stays where it is."""
    steps = np.diff(points[:, 0])
    far = np.abs(steps) > _HALF
    seam = far & (np.abs(points[:-1, 0]) == _HALF) & (np.abs(points[1:, 0]) == _HALF)
    if seam.any():  # from edge to edge of the map: along the whole world, or no way at all
        ring, turns = _follow(points, steps, far)
        if turns == 0 and shapely.polygons(ring).area > 0:
            return _with_crossings(ring)
    ring, turns = _follow(points, steps, far & ~seam)
    if turns:  # around a pole: along the antimeridian to the pole, and back
        pole = 90.0 if points[:, 1].mean() > 0 else -90.0
        ring = _to_pole(ring, pole)
    return _with_crossings(ring)


def _follow(points: Points, steps: Points, far: NDArray[np.bool_]) -> tuple[Points, int]:
    turns = np.concatenate([[0], np.cumsum(np.where(far, -np.sign(steps), 0.0))])
    ring = np.column_stack([np.round(points[:, 0] + turns * _WHOLE, DIGITS), points[:, 1]])
    return ring, int(turns[-1])


def _to_pole(ring: Points, pole: float) -> Points:
    """Close a ring that ends one turn beside its start, so that the pole lies in it."""
    at = int(np.argmax(np.diff(np.floor((ring[:, 0] + _HALF) / _WHOLE)) != 0))
    a, b = ring[at], ring[at + 1]
    edge = _edge(a[0], b[0])
    latitude = _latitude(a, b)
    open_ring = ring[:-1]
    turn = ring[-1, 0] - ring[0, 0]
    after = np.concatenate([open_ring[at + 1 :], np.add(open_ring[: at + 1], [turn, 0.0])])
    start, end = [edge, latitude], [edge + turn, latitude]
    return np.round(
        np.concatenate([[start], after, [end, [edge + turn, pole], [edge, pole], start]]), DIGITS
    )


def _with_crossings(ring: Points) -> Points:
    """Put a point on each place where a ring crosses ±180: both neighbours get the same one."""
    sheets = (ring[:, 0] + _HALF) / _WHOLE
    low, high = np.minimum(sheets[:-1], sheets[1:]), np.maximum(sheets[:-1], sheets[1:])
    crossing = (np.floor(high) > np.floor(low)) & (low % 1 != 0) & (high % 1 != 0)
    for at in np.flatnonzero(crossing)[::-1]:
        a, b = ring[at], ring[at + 1]
        ring = np.insert(ring, at + 1, [_edge(a[0], b[0]), _latitude(a, b)], axis=0)
    return ring


def _edge(a: float, b: float) -> float:
    return float(np.floor((max(a, b) + _HALF) / _WHOLE) * _WHOLE - _HALF)


def _latitude(a: Points, b: Points) -> float:
    """Give where a line crosses, the same whichever way and on whichever sheet it is written."""
    first, second = sorted((a, b), key=lambda point: float(point[0]))
    edge = _edge(a[0], b[0])
    before, behind = np.round(edge - first[0], DIGITS), np.round(second[0] - edge, DIGITS)
    if before + behind == 0:
        return float(first[1])
    share = before / (before + behind)
    return float(np.round(first[1] + share * (second[1] - first[1]), DIGITS))
