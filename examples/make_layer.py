"""Write the example layers: region polygons that fit the example platform's regions.

The outlines are drawn by hand with few points, and roughened by chance, the same way each time:
they show the shapes of a world map, and no border in them says anything about a real one.
"""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

from outlines import ARCS, ISLANDS, REGIONS

Point = tuple[float, float]
SHORTEST = 1.2  # degrees; segments above are divided
ROUGHNESS = 0.14  # how far the middle of a segment moves, as a share of its length
CALM = 0.06  # the same for islands, which are narrow
DIGITS = 3


def rough(line: list[Point], much: float = ROUGHNESS) -> list[Point]:
    """Divide the segments of a line and move their middles aside, again and again."""
    points = [line[0]]
    for a, b in pairwise(line):
        points += [*_divided(a, b, much), b]
    return points


def _divided(a: Point, b: Point, much: float) -> list[Point]:
    length = math.dist(a, b)
    if length < SHORTEST:
        return []
    chance = random.Random(repr(sorted((a, b))))  # the same for both who share the segment
    aside = chance.uniform(-much, much) * (1 if a < b else -1)
    middle = (
        round((a[0] + b[0]) / 2 - aside * (b[1] - a[1]), DIGITS),
        round((a[1] + b[1]) / 2 + aside * (b[0] - a[0]), DIGITS),
    )
    return [*_divided(a, middle, much), middle, *_divided(middle, b, much)]


def ring(names: list[str]) -> list[list[float]]:
    """Join arcs to a ring; a name with a minus is the arc the other way round."""
    points: list[Point] = []
    for name in names:
        line = rough(ARCS[name.lstrip("-")])
        line = line[::-1] if name.startswith("-") else line
        assert not points or points[-1] == line[0], name
        points += line[1:] if points else line
    assert points[0] == points[-1], names
    return [list(point) for point in points]


def regions() -> dict[str, list[list[list[list[float]]]]]:
    """Give the polygons of each region."""
    found = {name: [[ring(arcs)] for arcs in rings] for name, rings in REGIONS.items()}
    for name, outlines in ISLANDS.items():
        for line in outlines:
            found[name].append([[list(point) for point in rough([*line, line[0]], CALM)]])
    return found


def feature(name: Any, polygons: Any, note: str | None = None) -> dict[str, Any]:
    """Make a feature."""
    shape = {"type": "MultiPolygon", "coordinates": polygons}
    return {"type": "Feature", "properties": {"region": name, "note": note}, "geometry": shape}


def write(path: Path, features: list[dict[str, Any]]) -> None:
    """Write GeoJSON, a line for each feature."""
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in features)
    path.write_text(f'{{"type":"FeatureCollection","features":[\n{lines}\n]}}\n', encoding="utf-8")


def mistakes(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the layer with a mistake of each kind."""
    spoilt = [feature(name, shape) for name, shape in found.items() if name != "R5REF"]
    spoilt.append(feature("R5REFF", found["R5REF"], "a misspelt name"))
    spoilt.append(feature("R5LAM", [[[[-60, -60], [-50, -60], [-55, -55], [-60, -60]]]], "twice"))
    spoilt.append(
        feature("World", [[[[0, -70], [9, -60], [9, -70], [0, -60], [0, -70]]]], "crossed")
    )
    spoilt.append(feature(None, [[[[0, 0], [1, 0], [1, 1], [0, 0]]]], "no name"))
    point = {"type": "Point", "coordinates": [0, 0]}
    spoilt.append({**feature("R5REF", None, "a point"), "geometry": point})
    return spoilt


def main(folder: Path) -> None:
    """Write both files."""
    found = regions()
    write(folder / "example-layer.geojson", [feature(n, shape) for n, shape in found.items()])
    write(folder / "layer-with-mistakes.geojson", mistakes(found))


if __name__ == "__main__":
    main(Path(__file__).parent)
