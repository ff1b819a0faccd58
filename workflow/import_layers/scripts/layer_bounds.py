"""Bounding boxes as RFC 7946 writes them: the west may be greater than the east (section 5.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray


def bounds(shapes: NDArray[Any]) -> tuple[float, float, float, float]:
    """Give west, south, east and north of shapes that are cut at the antimeridian.

    Where they fit into half the world across the antimeridian, and less well without it, the box
    crosses it, and west is greater than east.
    """
    parts = shapely.bounds(shapely.get_parts(shapes))
    west, east = _interval(parts[:, 0], parts[:, 2])
    return west, float(parts[:, 1].min()), east, float(parts[:, 3].max())


def _interval(lows: NDArray[np.float64], highs: NDArray[np.float64]) -> tuple[float, float]:
    order = np.argsort(lows)
    lows, reach = lows[order], np.maximum.accumulate(highs[order])
    gaps = np.append(lows[1:] - reach[:-1], lows[0] + 360 - reach[-1])
    widest = int(np.argmax(gaps))
    if widest == len(gaps) - 1 or 360 - gaps[widest] > 180:
        return float(lows[0]), float(reach[-1])
    return float(lows[widest + 1]), float(reach[widest])


def extent(box: tuple[float, float, float, float]) -> float:
    """Give the larger of a box's width and height, in degrees."""
    west, south, east, north = box
    width = east - west if east >= west else east - west + 360
    return max(width, north - south)
