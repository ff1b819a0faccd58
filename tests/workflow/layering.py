"""The stages of import_layers on small layers, in an interpreter that has geopandas imported."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.workflow.warm import Warm

SCRIPTS = ROOT / "workflow" / "import_layers" / "scripts"
LEVELS = {"low": 0.5, "high": 0.05}
SQUARES = {"Asia": (60.0, 10.0), "Europe": (0.0, 40.0), "Africa": (0.0, 0.0)}
Ring = Sequence[tuple[float, float]]

CONVERT = """
import json, sys
import geopandas as gpd
source, target, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
table = gpd.read_file(source)
if options.get("crs"):
    table = table.to_crs(options["crs"])
if options.get("no_crs"):
    table = table.set_crs(None, allow_override=True)
if target.endswith(".parquet"):
    table.to_parquet(target)
else:
    driver = {"fgb": "FlatGeobuf", "shp": "ESRI Shapefile", "gpkg": "GPKG"}[target[-4:].strip(".")]
    layer = {"layer": options["layer"]} if "layer" in options else {}
    table.to_file(target, driver=driver, **layer)
"""


def square(west: float, south: float, size: float = 10.0) -> list[tuple[float, float]]:
    """Give a closed ring."""
    east, north = west + size, south + size
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def feature(name: str | None, *rings: Ring, kind: str = "Polygon", **more: Any) -> dict[str, Any]:
    """Give a GeoJSON feature; without rings it has no geometry."""
    shape = {"type": kind, "coordinates": [[list(p) for p in ring] for ring in rings]}
    properties = {"region": name, **more}
    return {"type": "Feature", "properties": properties, "geometry": shape if rings else None}


def point(name: str) -> dict[str, Any]:
    """Give a feature that is a point."""
    shape = {"type": "Point", "coordinates": [1, 2]}
    return {"type": "Feature", "properties": {"region": name}, "geometry": shape}


def geojson(path: Path, features: Sequence[Mapping[str, Any]]) -> Path:
    """Write a layer."""
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def squares(path: Path, names: Mapping[str, tuple[float, float]] = SQUARES) -> Path:
    """Write a layer of squares."""
    return geojson(path, [feature(name, square(*at)) for name, at in names.items()])


def add_regions(platform: Path, names: Sequence[str]) -> None:
    """Give an SQLite platform regions."""
    connection = sqlite3.connect(platform)
    rows = [(name,) for name in names]
    connection.executemany("INSERT INTO region (name, hierarchy) VALUES (?, 'common')", rows)
    connection.commit()
    connection.close()


class Job:
    """The stages of one job, run by hand in a folder."""

    def __init__(self, folder: Path, python: Warm, platform: Path | None, identity: str = "01J"):
        self.folder, self.python, self.platform, self.id = folder, python, platform, identity
        self.store = folder / "layers"
        self.levels: dict[str, Any] = dict(LEVELS)
        self.name = "regions"
        self.environment: dict[str, str] = dict(os.environ)

    def another(self, identity: str) -> Job:
        """Give another job with the same platform and layer store."""
        folder = self.folder / identity
        folder.mkdir()
        made = Job(folder, self.python, self.platform, identity)
        made.store, made.name, made.levels = self.store, self.name, self.levels
        return made

    def read(self, file: Path, *more: str) -> bool:
        """Run the stage read; tell whether it went well."""
        out = ["--output", self.folder / "layer.parquet", "--source", self.folder / "source.json"]
        return self._run("layer_read.py", "--input", file, *out, *more)

    def check(self, *more: str) -> bool:
        """Run the stage check."""
        f = self.folder
        at = ["--embedded", self.platform] if self.platform else []
        out = ["--output", f / "regions.parquet", "--checked", f / "checked.json"]
        return self._run(
            "layer_check.py", "--input", f / "layer.parquet", "--source", f / "source.json", *out,
            "--problems", f / "results", "--name", self.name, "--job", self.id,
            "--store", self.store, *at, *more,
        )  # fmt: skip

    def simplify(self) -> bool:
        """Run the stage simplify."""
        return self._run(
            "layer_simplify.py", "--input", self.folder / "regions.parquet",
            "--levels", json.dumps(self.levels), "--document", self.folder / "simplified.json",
            "--outputs", *self.level_files,
        )  # fmt: skip

    def write(self, *more: str) -> bool:
        """Run the stage write."""
        f = self.folder
        files = self.files
        return self._run(
            "layer_write.py", "--input", f / "regions.parquet", "--source", f / "source.json",
            "--simplified", f / "simplified.json", "--levels", *self.level_files,
            "--master", files[0], "--flatgeobuf", files[1], "--pmtiles", files[2],
            "--preview", files[3], "--geojson", *files[4:], "--drawing", f / "drawing.json",
            "--layer", f / "layer.json", "--name", self.name, *more,
        )  # fmt: skip

    def register(self, *more: str, script: Path | None = None) -> bool:
        """Run the stage register."""
        return self._run(script or "layer_register.py", *self.registering(), *more)

    def registering(self) -> list[Any]:
        """Give the options of the stage register."""
        return [
            "--layer", self.folder / "layer.json", "--files", *self.files, "--output",
            self.folder / "registered.json", "--name", self.name, "--job", self.id,
            "--store", self.store, "--error", self.folder / "error.json",
        ]  # fmt: skip

    def through(self, file: Path, *check: str) -> Job:
        """Run all stages up to write; all must go well."""
        for done in (self.read(file), self.check(*check), self.simplify(), self.write()):
            assert done, self.said
        return self

    @property
    def files(self) -> list[Path]:
        """What the stage write makes: master, FlatGeobuf, PMTiles, preview, GeoJSON by level."""
        names = ["layer.parquet", "layer.fgb", "layer.pmtiles", "layer.png"]
        names += [f"layer-{level}.geojson" for level in self.levels]
        return [self.folder / "results" / name for name in names]

    @property
    def level_files(self) -> list[Path]:
        """What the stage simplify makes."""
        return [self.folder / f"level-{level}.parquet" for level in self.levels]

    @property
    def error(self) -> Any:
        """Give the error document of the stage that failed."""
        return json.loads((self.folder / "error.json").read_text())

    @property
    def problems(self) -> list[dict[str, Any]]:
        """Give the problem table."""
        found: list[dict[str, Any]] = json.loads(
            (self.folder / "results" / "problems.json").read_text()
        )
        return found

    def found(self, severity: str = "error") -> list[tuple[str, str | None]]:
        """Give code and value of the problems of one severity."""
        return [(p["code"], p["value"]) for p in self.problems if p["severity"] == severity]

    @property
    def registry(self) -> list[dict[str, Any]]:
        """Give what the registry lists."""
        found: list[dict[str, Any]] = json.loads((self.store / "layers.json").read_text())["layers"]
        return found

    def ask(self, code: str, *paths: Path | str) -> Any:
        """Run a few lines with geopandas; `a` are the paths, and `answer` is what they give."""
        script = self.folder / "ask.py"
        head = "import json, sys\nimport geopandas as gpd, numpy as np, shapely, pyogrio\n"
        script.write_text(f"{head}a = sys.argv[1:]\n{code}\nprint(json.dumps(answer))\n")
        done = self.python.run([script, *paths])
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def shapes(self, path: Path) -> dict[str, Any]:
        """Give the coordinates of each region of a parquet file."""
        code = "t = gpd.read_parquet(a[0])\nanswer = {r: shapely.geometry.mapping(g)['coordinates']"
        found: dict[str, Any] = self.ask(f"{code} for r, g in zip(t['region'], t.geometry)}}", path)
        return found

    def convert(self, source: Path, target: Path, **options: Any) -> Path:
        """Write a layer in another format."""
        script = self.folder / "convert.py"
        script.write_text(CONVERT)
        done = self.python.run([script, source, target, json.dumps(options)])
        assert done.returncode == 0, done.stderr
        return target

    def _run(self, script: str | Path, *options: Any) -> bool:
        error = [] if "--error" in options else ["--error", self.folder / "error.json"]
        path = script if isinstance(script, Path) else SCRIPTS / script
        done = self.python.run([path, *options, *error], self.environment)
        self.said = done.stdout + done.stderr
        return done.returncode == 0
