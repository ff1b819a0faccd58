"""Stage write: the layer in the formats that maps use, and a preview."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from stagekit import program
from stagekit.files import whole, write_json


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--input", type=Path, required=True, help="check's regions")
    add("--source", type=Path, required=True, help="read's description")
    add("--simplified", type=Path, required=True, help="simplify's description")
    add("--levels", type=Path, nargs="+", required=True, help="simplify's files")
    add("--master", type=Path, required=True, help="GeoParquet with all detail")
    add("--flatgeobuf", type=Path, required=True)
    add("--pmtiles", type=Path, required=True)
    add("--geojson", type=Path, nargs="+", required=True, help="a file for each level")
    add("--preview", type=Path, required=True, help="picture (PNG)")
    add("--drawing", type=Path, required=True, help="the map, for the report (JSON)")
    add("--layer", type=Path, required=True, help="description of the layer (JSON)")
    add("--name", required=True, help="name of the layer")
    add("--attribution", default="", help="whom a map must name")
    add("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Write all files."""
    import geopandas as gpd
    import layer_formats
    import layer_geojson
    from layer_bounds import bounds
    from layer_shapes import areas

    regions = gpd.read_parquet(args.input)
    area = areas(regions.geometry.to_numpy()).round(3)
    done = json.loads(args.simplified.read_text(encoding="utf-8"))
    levels = dict(zip(done["levels"], map(gpd.read_parquet, args.levels), strict=True))
    master = regions[["region", "geometry"]].copy()
    for table in (master, *levels.values()):
        table.insert(1, "area_km2", area)
    about = {"name": args.name, **({"attribution": args.attribution} if args.attribution else {})}
    for (name, table), path in zip(levels.items(), args.geojson, strict=True):
        with whole(path) as temporary:
            layer_geojson.write(table, temporary, done["levels"][name]["digits"], about)
        print(f"{path.name}: {path.stat().st_size:,} bytes", flush=True)
    with whole(args.master) as temporary:
        master.to_parquet(temporary, compression="zstd", write_covering_bbox=True)
    layer_formats.flatgeobuf(master, args.flatgeobuf, args.name, args.attribution)
    finest = min(levels, key=lambda name: float(done["levels"][name]["tolerance"]))
    tolerance = float(done["levels"][finest]["tolerance"])
    zoom = layer_formats.pmtiles(
        levels[finest], args.pmtiles, args.name, args.attribution, tolerance
    )
    _drawn(args, levels, bounds(master.geometry.to_numpy()))
    layer = {
        "name": args.name,
        "attribution": args.attribution,
        "bounds": [round(value, 7) for value in bounds(master.geometry.to_numpy())],
        "regions": len(master),
        "points": done["points"],
        "coverage": done["coverage"],
        "levels": done["levels"],
        "zoom": zoom,
        "checksum": _checksum([master, *levels.values()]),
        "source": _source(args),
    }
    write_json(args.layer, layer)


def _drawn(args: argparse.Namespace, levels: dict[str, Any], box: Any) -> None:
    import layer_drawing
    import layer_preview

    drawing = layer_drawing.draw(layer_drawing.choose(levels), box)
    with whole(args.preview) as temporary:
        layer_preview.save(drawing, temporary, args.name, args.attribution)
    write_json(args.drawing, drawing)


def _source(args: argparse.Namespace) -> dict[str, Any]:
    source = json.loads(args.source.read_text(encoding="utf-8"))
    return {key: source[key] for key in ("file", "layer", "crs")}


def _checksum(tables: Sequence[Any]) -> str:
    """Give a checksum of names and shapes, which does not depend on how files are written."""
    hashed = hashlib.sha256()
    for table in tables:
        hashed.update(json.dumps(list(table["region"])).encode())
        for shape in table.geometry.to_wkb():
            hashed.update(shape)
    return f"sha256:{hashed.hexdigest()}"


if __name__ == "__main__":
    options = parse()
    sys.exit(program.run("write", options.error, lambda: main(options)))
