"""A zipped shapefile: its parts are taken out of the archive, checked, and nothing else is."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from stagekit.nearest import did_you_mean, nearest
from stagekit.problems import StageError

PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
NEEDED = (".shx", ".dbf")
LARGEST = 4_000_000_000  # bytes, unpacked
RATIO = 200  # unpacked to packed; coordinates compress far less


def unpack(path: Path, folder: Path, wanted: str | None) -> Path:
    """Unpack the shapefile of an archive.

    Parameters
    ----------
    path : Path
        The archive.
    folder : Path
        Where its parts go, under names without folders.
    wanted : str or None
        Name of the shapefile, without suffix, if the archive has several.

    Returns
    -------
    Path
        The ``.shp`` file.

    Raises
    ------
    StageError
        If the archive is damaged or unsafe, or has not the parts of exactly one shapefile.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(path, archive.infolist())
            members = [m for m in archive.infolist() if not _ignored(m.filename)]
            chosen = _choose(path, members, wanted)
            for suffix, member in chosen.items():
                with archive.open(member) as source, (folder / f"layer{suffix}").open("wb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise StageError(
            "damaged_file", f"{path.name} is damaged or cut short: {error}. Submit it again."
        ) from error
    except (RuntimeError, NotImplementedError) as error:  # a password, or an unknown compression
        raise StageError("damaged_file", f"{path.name} cannot be unpacked: {error}.") from error
    return folder / "layer.shp"


def _ignored(name: str) -> bool:
    return name.endswith("/") or name.startswith("__MACOSX/") or "/." in f"/{name}"


def _check(path: Path, members: list[zipfile.ZipInfo]) -> None:
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts:
            raise StageError(
                "unsafe_archive", f"{path.name} has a file name that leads out of it: {parts}."
            )
    size, packed = (sum(getattr(m, key) for m in members) for key in ("file_size", "compress_size"))
    if size > LARGEST or size > RATIO * max(packed, 1_000_000):
        raise StageError(
            "archive_bomb", f"{path.name} unpacks to {size / 1e9:.1f} GB, far more than a layer."
        )


def _choose(
    path: Path, members: list[zipfile.ZipInfo], wanted: str | None
) -> dict[str, zipfile.ZipInfo]:
    shapefiles: dict[str, dict[str, zipfile.ZipInfo]] = {}
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        if name.suffix.lower() in PARTS:
            shapefiles.setdefault(str(name.with_suffix("")), {})[name.suffix.lower()] = member
    found = {name: parts for name, parts in shapefiles.items() if ".shp" in parts}
    if not found:
        has = ", ".join(sorted(m.filename for m in members)[:8]) or "nothing"
        raise StageError(
            "no_shapefile",
            f"{path.name} has no shapefile (.shp) in it, but {has}. Submit GeoPackage, GeoJSON,"
            " FlatGeobuf and GeoParquet without an archive around them.",
        )
    if wanted is not None:
        named = {n: p for n, p in found.items() if wanted in (n, PurePosixPath(n).name)}
        if not named:
            hint = did_you_mean(nearest(wanted, [PurePosixPath(n).name for n in found]))
            raise StageError(
                "unknown_layer",
                f"{path.name} has no shapefile {wanted!r}, but {', '.join(sorted(found))}.{hint}",
            )
        found = named
    if len(found) > 1:
        raise StageError(
            "several_layers",
            f"{path.name} has the shapefiles {', '.join(sorted(found))}: name the one to import"
            " with the parameter layer_in_file.",
        )
    ((only, parts),) = found.items()
    if missing := [suffix for suffix in NEEDED if suffix not in parts]:
        raise StageError(
            "incomplete_shapefile",
            f"The shapefile {only} in {path.name} lacks {' and '.join(missing)}: a shapefile is"
            " .shp, .shx, .dbf and .prj together.",
        )
    return parts
