"""Stage simplify: the layer at each detail level, neighbours with the same border."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from stagekit import program
from stagekit.files import whole, write_json


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--input", type=Path, required=True, help="check's regions")
    add("--levels", required=True, help="tolerances by the names of levels (JSON object)")
    add("--outputs", type=Path, nargs="+", required=True, help="a file for each level, in order")
    add("--document", type=Path, required=True, help="what the levels are like (JSON)")
    add("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Write the layer at each level."""
    import geopandas as gpd
    import shapely
    from layer_bounds import bounds, extent
    from layer_levels import degrees, faces_of, simplified

    regions = gpd.read_parquet(args.input)
    shapes = regions.geometry.to_numpy()
    size = extent(bounds(shapes))
    coverage = faces_of(shapes)
    levels = {}
    for (name, asked), path in zip(json.loads(args.levels).items(), args.outputs, strict=True):
        tolerance = degrees(asked, size)
        result, digits = simplified(coverage, tolerance)
        levels[name] = {
            "asked": asked,
            "tolerance": float(f"{tolerance:.6g}"),
            "digits": digits,
            "points": int(shapely.get_num_coordinates(result).sum()),
        }
        with whole(path) as temporary:
            table = regions[["region"]].copy()
            table = gpd.GeoDataFrame(table, geometry=result, crs=regions.crs)
            table.to_parquet(temporary, compression="zstd")
        print(f"{name}: {tolerance:.4g} degrees, {levels[name]['points']:,} points", flush=True)
    points = int(shapely.get_num_coordinates(shapes).sum())
    document = {"points": points, "coverage": coverage.of is None, "levels": levels}
    write_json(args.document, document)


if __name__ == "__main__":
    options = parse()
    sys.exit(program.run("simplify", options.error, lambda: main(options)))
