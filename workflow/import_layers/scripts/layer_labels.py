"""Where the names of regions stand on a map; those without room get a number and a legend."""

from __future__ import annotations

from typing import Any

import shapely

SIZE = 13.0  # of letters, in units of the drawing
SMALL = 11.0
_LETTER = 0.6  # width of a letter, as a share of its size
_LINE = 1.2  # height of a line, as a share of its size
_SPILL = 1.25  # how far a name may reach beyond its region
_BREAKS = " |+/-"


def labels(shapes: list[Any], names: list[str]) -> list[dict[str, Any] | None]:
    """Place names.

    Parameters
    ----------
    shapes : list of shapely.Geometry
        Regions as they are drawn, the largest first.
    names : list of str
        Their names.

    Returns
    -------
    list of dict or None
        For each region ``x`` and ``y`` (of the middle), ``lines`` of text and ``size``; or a
        ``number`` that stands for the name; None where even that has no room.
    """
    placed: list[Any] = []
    found: list[dict[str, Any] | None] = []
    number = 0
    for shape, name in zip(shapes, names, strict=True):
        middle, room = _middle(shape)
        best = _fitting(name, middle, room, placed)
        if best is None:
            number += 1
            best = _numbered(str(number), middle, room, placed)
            number -= best is None
        found.append(best)
    return found


def _middle(shape: Any) -> tuple[tuple[float, float], float]:
    """Give the middle of the largest part, and how wide it is there."""
    parts = [part for part in shapely.get_parts(shape) if part.area > 0]
    if not parts:
        return (0.0, 0.0), 0.0
    largest = max(parts, key=lambda part: float(part.area))
    if not largest.is_valid:
        largest = max(shapely.get_parts(shapely.make_valid(largest)), key=lambda p: float(p.area))
    circle = shapely.maximum_inscribed_circle(largest, tolerance=2.0)
    x, y = shapely.get_coordinates(circle)[0]
    west, _, east, _ = largest.bounds
    across = shapely.intersection(largest, shapely.linestrings([(west, y), (east, y)]))
    here = [p for p in shapely.get_parts(across) if p.bounds[0] - 1 <= x <= p.bounds[2] + 1]
    if here:
        left, _, right, _ = here[0].bounds
        return ((left + right) / 2, y), right - left
    return (x, y), 2 * float(circle.length)


def _fitting(
    name: str, middle: tuple[float, float], room: float, placed: list[Any]
) -> dict[str, Any] | None:
    for size in (SIZE, SMALL):
        for lines in ([name], _broken(name)):
            width = max(map(len, lines)) * size * _LETTER
            if width <= room * _SPILL:
                label = _free(lines, size, middle, placed)
                if label is not None:
                    return label
    return None


def _free(
    lines: list[str], size: float, middle: tuple[float, float], placed: list[Any]
) -> dict[str, Any] | None:
    x, y = middle
    width, height = max(map(len, lines)) * size * _LETTER, len(lines) * size * _LINE
    box = shapely.box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if any(box.intersects(other) for other in placed):
        return None
    placed.append(box)
    return {"x": round(x, 1), "y": round(y, 1), "lines": lines, "size": size}


def _numbered(
    text: str, middle: tuple[float, float], room: float, placed: list[Any]
) -> dict[str, Any] | None:
    label = _free([text], SMALL, middle, placed) if room > 3 else None
    return label and {**label, "number": int(text)}


def _broken(name: str) -> list[str]:
    """Break a name into two lines, as near to its middle as it can be broken."""
    places = [i + 1 for i, letter in enumerate(name[:-1]) if letter in _BREAKS and i > 0]
    if not places:
        return [name]
    at = min(places, key=lambda place: abs(place - len(name) / 2))
    return [name[:at].strip(), name[at:].strip()]
