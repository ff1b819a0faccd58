"""Detail levels: what their tolerances mean, and shapes simplified with shared borders kept."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from stagekit.problems import StageError

DEGREE = 111_320.0  # metres of a degree of longitude at the equator
MOST_DIGITS = 7  # of coordinates in GeoJSON: a centimetre
_METRES = {"m": 1.0, "km": 1000.0}
_TEXT = re.compile(r"(\d+(?:\.\d+)?) ?(deg|m|km|px)")
Shapes: TypeAlias = NDArray[Any]


def degrees(tolerance: float | str, extent: float) -> float:
    """Give a tolerance in degrees.

    Parameters
    ----------
    tolerance : float or str
        Degrees; or a text with a unit: ``0.1 deg``, ``500 m`` and ``5 km`` (at the equator), or
        ``1000 px``: a pixel of a map of the whole layer that is 1000 pixels wide.
    extent : float
        The larger of the layer's width and height, in degrees.

    Raises
    ------
    StageError
        ``wrong_tolerance`` if it is none.
    """
    if isinstance(tolerance, int | float):
        return float(tolerance)
    found = _TEXT.fullmatch(tolerance.strip())
    if found is None or (found[2] == "px" and not float(found[1])):
        raise StageError(
            "wrong_tolerance",
            f"{tolerance!r} is no tolerance. Write degrees as a number, or a text such as"
            " '0.1 deg', '500 m', '5 km' or '1000 px'.",
        )
    number, unit = float(found[1]), found[2]
    if unit == "px":
        return extent / number
    return number if unit == "deg" else number * _METRES[unit] / DEGREE


@dataclass(frozen=True)
class Faces:
    """The layer as one coverage: areas without overlaps, of which each region has some.

    Attributes
    ----------
    faces : numpy.ndarray
        Polygons that meet in shared borders only.
    of : list of numpy.ndarray or None
        For each region the numbers of its faces; None where each region is one face.
    """

    faces: Shapes
    of: list[NDArray[np.intp]] | None

    def regions(self, faces: Shapes) -> Shapes:
        """Put regions together from (simplified) faces."""
        if self.of is None:
            return _multi(faces)
        return _multi([shapely.coverage_union_all(faces[numbers]) for numbers in self.of])


def faces_of(shapes: Shapes) -> Faces:
    """Make a coverage of shapes, whether they are one or not.

    Where regions overlap, or vertices of shared borders differ, all borders are cut at their
    crossings, and every area between them becomes a face: a border that several regions share, in
    whole or in part, is then simplified once.
    """
    if shapely.coverage_is_valid(shapes):
        return Faces(shapes, None)
    lines = shapely.union_all(shapely.boundary(shapes))
    faces = np.asarray(shapely.get_parts(shapely.polygonize([lines])))
    inside = shapely.point_on_surface(faces)
    region, face = shapely.STRtree(inside).query(shapes, predicate="intersects")
    return Faces(faces, [face[region == number] for number in range(len(shapes))])


def simplified(coverage: Faces, tolerance: float) -> tuple[Shapes, int]:
    """Simplify with shared borders kept (Visvalingam and Whyatt, `shapely.coverage_simplify`).

    Parameters
    ----------
    coverage : Faces
        The layer.
    tolerance : float
        Degrees; the square root of the area of triangles that are removed.

    Returns
    -------
    shapes : numpy.ndarray
        A multipolygon per region.
    digits : int
        Decimals of its coordinates: as many as the tolerance is worth, at most seven. Points that
        neighbours share are rounded to the same place.
    """
    faces = coverage.faces
    if tolerance > 0:
        faces = shapely.coverage_simplify(faces, tolerance)
    least = MOST_DIGITS if tolerance <= 0 else 2 - math.floor(math.log10(tolerance))
    for digits in range(min(max(least, 2), MOST_DIGITS), MOST_DIGITS + 1):
        rounded = _rounded(faces, digits)
        if shapely.is_valid(rounded).all() and shapely.coverage_is_valid(rounded):
            return coverage.regions(rounded), digits
    shapes = coverage.regions(faces)
    return _multi(
        shapely.make_valid(_rounded(shapes, MOST_DIGITS), method="structure")
    ), MOST_DIGITS


def _rounded(shapes: Shapes, digits: int) -> Shapes:
    moved = shapely.transform(shapes, lambda points: np.round(points, digits))
    return np.asarray(shapely.remove_repeated_points(moved))


def _multi(shapes: Any) -> Shapes:
    return np.asarray(
        [
            shapely.multipolygons([p for p in shapely.get_parts(s) if p.geom_type == "Polygon"])
            for s in shapes
        ],
        dtype=object,
    )
