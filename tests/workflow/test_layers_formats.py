"""What is written can be read: GeoJSON by the rules of RFC 7946, the others by GDAL again."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.faults.disks import mounted
from tests.workflow.layering import Job, add_regions, feature, geojson, square
from tests.workflow.warm import Warm

EXAMPLE = ROOT / "examples" / "example-layer.geojson"
REGIONS = ["World", "R5ASIA", "R5LAM", "R5MAF", "R5OECD90+EU", "R5REF"]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory, geo_warm: Warm, empty_sqlite: Path) -> Job:
    """Give the example layer, written once for all tests: they only look at it."""
    folder = tmp_path_factory.mktemp("example")
    platform = Path(shutil.copy(empty_sqlite, folder / "platform.db"))
    add_regions(platform, REGIONS)
    return Job(folder, geo_warm, platform).through(EXAMPLE)


def documents(job: Job) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the GeoJSON of each level."""
    for level, path in zip(job.levels, job.files[4:], strict=True):
        yield level, json.loads(path.read_text(encoding="utf-8"))


def polygons(geometry: dict[str, Any]) -> list[Any]:
    """Give the polygons of a geometry."""
    kind, coordinates = geometry["type"], geometry["coordinates"]
    assert kind in ("Polygon", "MultiPolygon")
    return [coordinates] if kind == "Polygon" else coordinates


def signed_area(ring: list[list[float]]) -> float:
    """Give the area of a ring, positive if it goes counterclockwise."""
    pairs = pairwise(ring)
    return sum(x * v - u * y for (x, y), (u, v) in pairs) / 2


def test_geojson_keeps_the_rules_of_rfc_7946(example: Job) -> None:
    for level, document in documents(example):
        assert document["type"] == "FeatureCollection"
        assert "crs" not in document
        assert [f["id"] for f in document["features"]] == [1, 2, 3, 4, 5]
        assert document["name"] == "regions"
        points = []
        for one in document["features"]:
            assert one["type"] == "Feature"
            assert set(one["properties"]) == {"region", "area_km2"}
            for shell, *holes in polygons(one["geometry"]):
                for ring in (shell, *holes):
                    assert ring[0] == ring[-1]
                    assert len(ring) >= 4
                    points += ring
                assert signed_area(shell) > 0, "shells go counterclockwise"
                assert all(signed_area(hole) < 0 for hole in holes)
        west, south, east, north = document["bbox"]
        assert all(west <= x <= east and south <= y <= north for x, y in points)
        assert (west, east) == (-180, 180)
        digits = json.loads((example.folder / "simplified.json").read_text())["levels"][level]
        assert (
            max(len(str(v).partition(".")[2]) for p in points for v in p) <= digits["digits"] <= 7
        )


def test_a_box_across_the_antimeridian_has_its_west_above_its_east(layer_job: Job) -> None:
    ring = [(170.0, -20.0), (190.0, -20.0), (190.0, -10.0), (170.0, -10.0), (170.0, -20.0)]
    layers = [feature("Asia", ring), feature("Europe", square(160, 0))]
    layer_job.through(geojson(layer_job.folder / "x.geojson", layers))
    for _, document in documents(layer_job):
        assert document["bbox"] == [160, -20, -170, 10]
        asia = next(f for f in document["features"] if f["properties"]["region"] == "Asia")
        assert asia["bbox"] == [170, -20, -170, -10]
        assert asia["geometry"]["type"] == "MultiPolygon"
    layer = json.loads((layer_job.folder / "layer.json").read_text())
    assert layer["bounds"] == [160, -20, -170, 10]


def test_holes_go_clockwise(layer_job: Job) -> None:
    layer = [
        feature("Asia", square(0, 0), square(4, 4, 2)),
        feature("Europe", square(4, 4, 2)[::-1]),
    ]
    layer_job.through(geojson(layer_job.folder / "x.geojson", layer))
    for _, document in documents(layer_job):
        asia, europe = (polygons(f["geometry"])[0] for f in document["features"])
        assert [signed_area(ring) for ring in asia] == [100, -4]
        assert [signed_area(ring) for ring in europe] == [4]


def test_the_master_has_all_detail_and_the_other_formats_open_again(example: Job) -> None:
    code = """
regions, master = gpd.read_parquet(a[0]), gpd.read_parquet(a[1])
fgb = gpd.read_file(a[2]).sort_values('region').reset_index()
tiles, info = gpd.read_file(a[3]), pyogrio.read_info(a[3])
answer = {
    'same': bool(shapely.equals_exact(regions.geometry, master.geometry, 0).all()),
    'columns': list(master.columns), 'crs': master.crs.to_string(),
    'fgb': [list(fgb['region']), bool(fgb.geom_equals_exact(master.geometry, 0).all()),
            fgb.crs.to_string()],
    'tiles': [sorted(set(tiles['region'])), info['dataset_metadata']],
}
"""
    found = example.ask(code, example.folder / "regions.parquet", *example.files[:3])
    assert found["same"]
    assert found["columns"][:3] == ["region", "area_km2", "geometry"]
    assert found["fgb"] == [sorted(REGIONS[1:]), found["fgb"][1], "EPSG:4326"]
    names, metadata = found["tiles"]
    assert names == sorted(REGIONS[1:])
    assert (metadata["minzoom"], metadata["maxzoom"]) == ("0", "5")


def test_the_header_of_the_tiles_is_that_of_pmtiles_3(example: Job) -> None:
    header = example.files[2].read_bytes()[:127]
    assert header[:8] == b"PMTiles\x03"
    kind, least, most = header[99], header[100], header[101]
    assert (kind, least, most) == (1, 0, 5)  # vector tiles of MapLibre and Mapbox
    west, south, east, north = (v / 1e7 for v in struct.unpack("<4i", header[102:118]))
    assert (west, east) == (-180, 180)
    assert -60 < south < -50
    assert 80 < north < 85


def test_the_preview_is_a_picture_and_the_drawing_has_each_region_with_its_name(
    example: Job,
) -> None:
    content = example.files[3].read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">2I", content[16:24])
    assert width == 1600
    assert 600 < height < 1200
    drawing = json.loads((example.folder / "drawing.json").read_text())
    assert [r["label"]["lines"] for r in drawing["regions"]] == [
        [r["name"]] for r in drawing["regions"]
    ]
    near = {r["name"]: r["colour"] for r in drawing["regions"]}
    assert near["R5REF"] not in (near["R5ASIA"], near["R5MAF"], near["R5OECD90+EU"])


def test_a_layer_with_many_small_regions_is_drawn_with_a_legend(layer_job: Job) -> None:
    names = [f"Region of a rather long name {i}" for i in range(60)]
    many = [feature(n, square(i % 10 * 0.1, i // 10 * 0.1, 0.1)) for i, n in enumerate(names)]
    layer_job.through(geojson(layer_job.folder / "x.geojson", many), "--unknown-regions", "keep")
    drawing = json.loads((layer_job.folder / "drawing.json").read_text())
    numbers = [r["label"]["number"] for r in drawing["regions"] if "number" in (r["label"] or {})]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("room", [20_000, 120_000, 220_000])
def test_a_full_disk_is_one_clear_error_and_leaves_no_half_file(
    example: Job, tmp_path: Path, room: int
) -> None:
    """Wherever it becomes full: in GeoJSON, GeoParquet, FlatGeobuf or tiles."""
    with mounted(tmp_path / "small", "1m") as small:
        job = example.another(f"0{room}J")
        for name in ("regions.parquet", "source.json", "simplified.json"):
            (job.folder / name).symlink_to(example.folder / name)
        for own, path in zip(job.level_files, example.level_files, strict=True):
            own.symlink_to(path)
        (small / "results").mkdir()
        (job.folder / "results").symlink_to(small / "results")
        (small / "ballast").write_bytes(b"x" * (1_000_000 - room))
        assert not job.write()
        assert job.error["code"] == "disk_full", job.said
        left = {path.name: path for path in (small / "results").iterdir()}
        assert not [name for name in left if name.startswith(".")]
        for name, path in left.items():
            assert path.stat().st_size == (example.folder / "results" / name).stat().st_size
        (small / "ballast").unlink()
