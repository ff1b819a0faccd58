"""What kind of file a layer is: told by its content, and compared with its name."""

from __future__ import annotations

from pathlib import Path

from stagekit.problems import StageError

NAMES = {
    "geopackage": "a GeoPackage",
    "archive": "a zip archive",
    "geojson": "GeoJSON",
    "flatgeobuf": "a FlatGeobuf file",
    "geoparquet": "a parquet file",
}
_BY_SUFFIX = {
    ".gpkg": "geopackage",
    ".zip": "archive",
    ".geojson": "geojson",
    ".json": "geojson",
    ".fgb": "flatgeobuf",
    ".parquet": "geoparquet",
}
_BY_START = (
    (b"SQLite format 3\0", "geopackage"),
    (b"PK\x03\x04", "archive"),
    (b"PK\x05\x06", "archive"),
    (b"fgb", "flatgeobuf"),
    (b"PAR1", "geoparquet"),
)
_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\0\0\x27\x0a", "the .shp part of a shapefile: put all its parts into a zip archive"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"\x89PNG", "a PNG image"),
    (b"\xd0\xcf\x11\xe0", "an old Office file"),
    (b"<", "XML or HTML text, perhaps KML or the page of a download"),
)
_START = 4096  # bytes that are looked at


def kind_of(path: Path) -> str:
    """Tell which of the kinds in `NAMES` a file is.

    Raises
    ------
    StageError
        ``empty_file``, or ``not_a_layer`` if its content is not what its name says.
    """
    with path.open("rb") as stream:
        start = stream.read(_START)
    if not start:
        raise StageError("empty_file", f"{path.name} is empty: it has 0 bytes.")
    said = _BY_SUFFIX.get(path.suffix.lower())
    found = _found(start)
    if said is not None and said == found:
        return said
    is_really = NAMES.get(found or "") or _other(start)
    if said is None:
        wanted = ", ".join(_BY_SUFFIX)
        raise StageError(
            "not_a_layer", f"{path.name} is {is_really}. Layers are files of {wanted}."
        )
    raise StageError(
        "not_a_layer",
        f"{path.name} is not {NAMES[said]}, as its name says, but {is_really}. Submit a GeoPackage,"
        " a zipped shapefile, GeoJSON, FlatGeobuf or GeoParquet under its own suffix.",
    )


def _found(start: bytes) -> str | None:
    for magic, kind in _BY_START:
        if start.startswith(magic):
            return kind
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    return "geojson" if text.startswith(b"{") else None


def _other(start: bytes) -> str:
    for magic, name in _OTHERS:
        if start.lstrip().startswith(magic):
            return name
    try:
        start[:-4].decode("utf-8")  # the last character may be cut
    except UnicodeDecodeError:
        return "something else"
    return "a text file" if b"\0" not in start else "something else"
