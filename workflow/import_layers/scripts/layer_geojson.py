"""GeoJSON as RFC 7946 has it: right-hand rule, bounding boxes, few decimals, no other system."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from layer_bounds import bounds


def write(table: gpd.GeoDataFrame, path: Path, digits: int, about: dict[str, Any]) -> None:
    """Write a layer.

    Parameters
    ----------
    table : geopandas.GeoDataFrame
        Columns ``region`` and ``area_km2``; multipolygons that are cut at the antimeridian.
    path : Path
        The file.
    digits : int
        Decimals of coordinates.
    about : dict
        Further members of the collection: name, attribution.
    """
    shapes = shapely.orient_polygons(table.geometry.to_numpy())  # shells counterclockwise
    head = {"type": "FeatureCollection", **about, "bbox": _box(shapes, digits)}
    with path.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "features": [\n')
        for number, shape in enumerate(shapes):
            row = table.iloc[number]
            feature = {
                "type": "Feature",
                "id": number + 1,
                "bbox": _box(np.asarray([shape]), digits),
                "properties": {"region": row["region"], "area_km2": float(row["area_km2"])},
                "geometry": _geometry(shape, digits),
            }
            text = json.dumps(feature, ensure_ascii=False, separators=(",", ":"))
            stream.write(text + (",\n" if number < len(shapes) - 1 else "\n"))
        stream.write("]}\n")


def _box(shapes: Any, digits: int) -> list[float]:
    return [round(value, digits) for value in bounds(shapes)]


def _geometry(shape: Any, digits: int) -> dict[str, Any]:
    parts = [_rings(part, digits) for part in shapely.get_parts(shape)]
    if len(parts) == 1:
        return {"type": "Polygon", "coordinates": parts[0]}
    return {"type": "MultiPolygon", "coordinates": parts}


def _rings(polygon: Any, digits: int) -> list[list[list[float]]]:
    rings = [polygon.exterior, *polygon.interiors]
    return [np.round(shapely.get_coordinates(ring), digits).tolist() for ring in rings]
