"""Opening a layer of any kind as a table with a geometry column."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pyarrow as pa
import pyogrio
from layer_archive import unpack
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError
from stagekit.nearest import did_you_mean, nearest
from stagekit.problems import StageError

POLYGONS = ("polygon", "surface", "geometrycollection", "unknown", "geometry")
_FAULTS = (DataSourceError, DataLayerError, FeatureError, GeometryError, UnicodeDecodeError)


@dataclass(frozen=True)
class Source:
    """A layer as it stands in its file; `layer` is its name there, None where it has none."""

    table: gpd.GeoDataFrame
    layer: str | None


def open_layer(path: Path, kind: str, wanted: str | None, scratch: Path) -> Source:
    """Read a layer.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        From `layer_kind.kind_of`.
    wanted : str or None
        Name of the layer in the file, if it has several.
    scratch : Path
        Folder in which an archive may be unpacked meanwhile.

    Raises
    ------
    StageError
        If the file is damaged, or the layer is not clear or not there.
    """
    try:
        if kind == "geoparquet":
            return Source(_parquet(path), None)
        if kind == "archive":
            with tempfile.TemporaryDirectory(prefix=".shapefile-", dir=scratch) as folder:
                file = unpack(path, Path(folder), wanted)
                return Source(pyogrio.read_dataframe(file, encoding=_encoding(file)), None)
        options = {}
        if kind == "geopackage":
            options["IMMUTABLE"] = "YES"  # no files of SQLite beside the input
        layer = _layer(path, wanted)
        return Source(pyogrio.read_dataframe(path, layer=layer, **options), layer)
    except _FAULTS as error:
        said = str(error).strip().splitlines()
        raise StageError(
            "damaged_file",
            f"{path.name} is damaged, cut short or of a version that cannot be read:"
            f" {said[0] if said else type(error).__name__}. Open it in a GIS program, save it"
            " again, and submit that.",
        ) from error


def _parquet(path: Path) -> gpd.GeoDataFrame:
    try:
        return gpd.read_parquet(path)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        text = f"{path.name} is damaged or cut short: {str(error).splitlines()[0]}"
        raise StageError("damaged_file", text) from error
    except ValueError as error:  # geopandas: no metadata of GeoParquet
        raise StageError(
            "not_a_layer",
            f"{path.name} is a parquet file without shapes: the metadata of GeoParquet are not in"
            f" it ({str(error).splitlines()[0]}).",
        ) from error


def _layer(path: Path, wanted: str | None) -> str:
    found = [(str(name), str(kind or "").lower()) for name, kind in pyogrio.list_layers(path)]
    names = [name for name, _ in found]
    if wanted is not None:
        if wanted in names:
            return wanted
        hint = did_you_mean(nearest(wanted, names))
        raise StageError(
            "unknown_layer",
            f"{path.name} has no layer {wanted!r}; it has {', '.join(names) or 'none'}.{hint}",
        )
    shapes = [name for name, kind in found if any(word in kind for word in POLYGONS)]
    candidates = shapes or [name for name, kind in found if kind]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise StageError("no_data", f"{path.name} has no layer with shapes in it.")
    raise StageError(
        "several_layers",
        f"{path.name} has several layers: {', '.join(candidates)}. Name the one to import with the"
        " parameter layer_in_file.",
    )


def _encoding(file: Path) -> str | None:
    """Give the encoding of a shapefile's table where it does not say so itself.

    Without a ``.cpg`` GDAL takes what the table's header says, which is mostly wrong for UTF-8.
    """
    if file.with_suffix(".cpg").exists():
        return None
    try:
        text = file.with_suffix(".dbf").read_bytes()[32:].decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if text.isascii() else "UTF-8"
