"""Stage read: a layer of any kind as one table in longitude and latitude, a row per shape."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from layer_kind import NAMES, kind_of
from stagekit import program
from stagekit.files import whole, write_json
from stagekit.problems import StageError

WORLD = "EPSG:4326"  # longitude and latitude on WGS 84, as RFC 7946 wants them
ROW = "shape"  # number of a shape in the file, the first is 1


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True, help="the layer")
    parser.add_argument("--output", type=Path, required=True, help="the table (GeoParquet)")
    parser.add_argument("--source", type=Path, required=True, help="its description (JSON)")
    parser.add_argument("--layer-in-file", help="name of the layer, if the file has several")
    parser.add_argument("--crs", help="coordinate reference system, if the file names none")
    parser.add_argument("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Read the layer and write it as a table.

    Raises
    ------
    StageError
        If it cannot be read, has no shapes, or names no coordinate reference system.
    """
    kind = kind_of(args.input)
    import geopandas as gpd
    import pandas as pd
    import shapely
    from layer_source import open_layer

    args.output.parent.mkdir(parents=True, exist_ok=True)
    found = open_layer(args.input, kind, args.layer_in_file, args.output.parent)
    table = found.table
    if not hasattr(table, "crs") or table.active_geometry_name is None:
        raise StageError("no_polygons", f"{args.input.name} is a table without shapes.")
    if table.empty:
        raise StageError("no_data", f"{args.input.name} has no shapes: the layer is empty.")
    crs = _crs(args, table.crs)
    table = table.set_crs(crs) if table.crs is None else table
    flat = table.geometry.has_z.any() or bool(shapely.has_m(table.geometry.array).any())
    shapes = (table.geometry.force_2d() if flat else table.geometry).to_crs(WORLD)
    texts = [name for name in _attributes(table) if _is_text(pd, table[name])]
    result = gpd.GeoDataFrame(
        {ROW: range(1, len(table) + 1), **{name: table[name].to_numpy(object) for name in texts}},
        geometry=shapes.to_numpy(),
        crs=WORLD,
    )
    with whole(args.output) as temporary:
        result.to_parquet(temporary, compression="zstd")
    others = [name for name in _attributes(table) if name not in texts]
    document = {
        "file": args.input.name,
        "kind": kind,
        "layer": found.layer,
        "crs": crs_name(crs),
        "shapes": len(result),
        "columns": texts,
        "other_columns": others,
        "heights_dropped": bool(flat),
    }
    write_json(args.source, document)
    print(f"{args.input.name}: {NAMES[kind]}, {len(result)} shapes, {document['crs']}")


def _attributes(table: Any) -> list[str]:
    return [str(name) for name in table.columns if name != table.active_geometry_name]


def _is_text(pd: Any, column: Any) -> bool:
    values = column.dropna()
    return not values.empty and pd.api.types.infer_dtype(values, skipna=True) == "string"


def crs_name(crs: Any) -> str:
    """Name a coordinate reference system by its code, else by its title."""
    code = crs.to_authority()
    return f"{crs.name} ({':'.join(code)})" if code else str(crs.name)


def _crs(args: argparse.Namespace, named: Any) -> Any:
    """Give the coordinate reference system: that of the file, else that of the parameter."""
    import pyproj

    if named is None and not args.crs:
        raise StageError(
            "no_crs",
            f"{args.input.name} does not say in which coordinate reference system its numbers are,"
            " and it is not guessed. Add it to the file (a shapefile needs its .prj; ogr2ogr"
            " -a_srs EPSG:4326 OUT IN writes a copy that has it), or name it with the parameter"
            " crs.",
        )
    try:
        asked = pyproj.CRS.from_user_input(args.crs) if args.crs else named
    except pyproj.exceptions.CRSError as error:
        text = f"The parameter crs, {args.crs!r}, is no coordinate reference system."
        raise StageError("wrong_crs", f"{text} Use a code such as EPSG:3035.") from error
    if named is not None and not named.equals(asked, ignore_axis_order=True):
        raise StageError(
            "wrong_crs",
            f"{args.input.name} names its coordinate reference system, {crs_name(named)}; the"
            f" parameter crs names another, {crs_name(asked)}. Leave it out.",
        )
    return asked


if __name__ == "__main__":
    options = parse()
    sys.exit(program.run("read", options.error, lambda: main(options)))
