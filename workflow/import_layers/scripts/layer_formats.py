"""FlatGeobuf and PMTiles, written by GDAL, and read again to see that they are whole."""

from __future__ import annotations

import errno
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError
from stagekit.problems import StageError

TILE = 256  # pixels
DEEPEST = 14  # zoom levels that are written; a map goes on from there
ROOM = 1_000_000  # bytes; with less left, it was the disk that made a driver fail
_FAULTS = (DataSourceError, DataLayerError, FeatureError, OSError)


def flatgeobuf(table: gpd.GeoDataFrame, path: Path, name: str, attribution: str) -> None:
    """Write a FlatGeobuf file with its spatial index."""
    options = {"TITLE": name, "DESCRIPTION": attribution, "layer": name}
    _written(
        path,
        lambda file: pyogrio.write_dataframe(
            table, file, driver="FlatGeobuf", geometry_type="MultiPolygon", **_given(options)
        ),
    )


def pmtiles(
    table: gpd.GeoDataFrame, path: Path, name: str, attribution: str, tolerance: float
) -> int:
    """Write vector tiles, down to the zoom at which a pixel is as small as the tolerance.

    Returns
    -------
    int
        The deepest zoom.
    """
    deepest = DEEPEST
    if tolerance > 0:
        deepest = min(max(math.ceil(math.log2(360 / (TILE * tolerance))), 0), DEEPEST)
    options = {"NAME": name, "DESCRIPTION": attribution, "MINZOOM": 0, "MAXZOOM": deepest}
    _written(
        path,
        lambda file: pyogrio.write_dataframe(
            table, file, driver="PMTiles", layer=name, **_given(options)
        ),
    )
    return deepest


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value != ""}


def _written(path: Path, write: Callable[[Path], None]) -> None:
    """Let a driver write in a folder of its own, and move the file when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
        file = Path(folder) / path.name
        try:
            write(file)
            pyogrio.read_info(file, force_feature_count=True)
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        except _FAULTS as error:
            if shutil.disk_usage(folder).free < ROOM:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
            raise StageError(
                "write_failed", f"{path.name} could not be written: {error}. Continue the job."
            ) from error
        file.replace(path)
