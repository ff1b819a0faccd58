"""Shapes across ±180 are cut there, however a file writes them, and still meet their neighbours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.workflow.layering import Job, feature, geojson

Point = tuple[float, float]
BEYOND: list[Point] = [(170, -20), (190, -20), (190, -10), (170, -10), (170, -20)]
JUMPING: list[Point] = [(170, -20), (-170, -20), (-170, -10), (170, -10), (170, -20)]
WEST: list[Point] = [(-190, -20), (-170, -20), (-170, -10), (-190, -10), (-190, -20)]
SEAM: list[Point] = [
    (170, -20), (180, -20), (-180, -20), (-170, -20), (-170, -10), (-180, -10), (180, -10),
    (170, -10), (170, -20),
]  # fmt: skip
PARTS = {(170.0, -20.0, 180.0, -10.0), (-180.0, -20.0, -170.0, -10.0)}


def cut(job: Job, *features: dict[str, Any]) -> dict[str, Any]:
    """Give the bounds of the parts, the area and the validity of each region."""
    assert job.read(geojson(job.folder / "layer.geojson", features)), job.said
    assert job.check("--unknown-regions", "keep"), job.said
    code = "t = gpd.read_parquet(a[0])\n"
    code += "answer = {r: [shapely.bounds(shapely.get_parts(g)).tolist(), g.area, g.is_valid]"
    code += " for r, g in zip(t.region, t.geometry)}"
    found: dict[str, Any] = job.ask(code, job.folder / "regions.parquet")
    assert all(valid for _, _, valid in found.values())
    return found


@pytest.mark.parametrize("ring", [BEYOND, JUMPING, WEST, SEAM])
def test_each_way_of_writing_a_crossing_gives_the_same_two_parts(
    layer_job: Job, ring: list[Point]
) -> None:
    bounds, area, _ = cut(layer_job, feature("Asia", ring))["Asia"]
    assert {tuple(box) for box in bounds} == PARTS
    assert area == pytest.approx(200)
    assert ("antimeridian", "Asia") in layer_job.found("note")
    checked = json.loads((layer_job.folder / "checked.json").read_text())
    assert checked["cuts"] == [{"region": "Asia", "shape": 1}]


def test_a_shape_that_is_written_beyond_180_as_a_whole_is_moved_and_not_cut(layer_job: Job) -> None:
    ring = [(200.0, 0.0), (210.0, 0.0), (210.0, 10.0), (200.0, 10.0), (200.0, 0.0)]
    bounds, _, _ = cut(layer_job, feature("Asia", ring))["Asia"]
    assert bounds == [[-160.0, 0.0, -150.0, 10.0]]
    assert ("antimeridian", "Asia") not in layer_job.found("note")


def test_a_hole_stays_in_its_part(layer_job: Job) -> None:
    hole = [(-178.0, -16.0), (-174.0, -16.0), (-174.0, -14.0), (-178.0, -14.0), (-178.0, -16.0)]
    _, area, _ = cut(layer_job, feature("Asia", JUMPING, hole))["Asia"]
    assert area == pytest.approx(200 - 8)
    across = [(178.0, -16.0), (-178.0, -16.0), (-178.0, -14.0), (178.0, -14.0), (178.0, -16.0)]
    bounds, area, _ = cut(layer_job, feature("Asia", JUMPING, across))["Asia"]
    assert area == pytest.approx(200 - 8)
    assert {tuple(box) for box in bounds} == PARTS


@pytest.mark.parametrize("pole", [90, -90])
@pytest.mark.parametrize("step", [60, -60, 45])
def test_a_ring_around_a_pole_has_the_pole_in_it(layer_job: Job, pole: int, step: int) -> None:
    latitude = pole * 2 / 3
    around = [((lon + 540) % 360 - 180 + 0.0, latitude) for lon in range(10, 370, abs(step))]
    around = around[::-1] if step < 0 else around
    bounds, area, _ = cut(layer_job, feature("Asia", [*around, around[0]]))["Asia"]
    assert area == pytest.approx(360 * 30)
    assert [min(b[0] for b in bounds), max(b[2] for b in bounds)] == [-180, 180]


def test_the_whole_world_and_antarctica_stay_what_they_are(layer_job: Job) -> None:
    world = [(-180, -60), (180, -60), (180, 90), (-180, 90), (-180, -60)]
    south = [(-180, -90), (180, -90), (180, -80), (0, -65), (-180, -80), (-180, -90)]
    belt = [(-180, -62), (0, -62), (180, -62), (180, -60), (-180, -60), (-180, -62)]
    found = cut(
        layer_job, feature("Asia", world), feature("Europe", south), feature("Africa", belt)
    )
    assert found["Asia"][:2] == [[[-180, -60, 180, 90]], 360 * 150]
    assert found["Europe"][1] == pytest.approx(360 * 10 + 180 * 15)
    assert found["Africa"][1] == pytest.approx(720)


def test_neighbours_across_the_antimeridian_share_their_border_exactly(layer_job: Job) -> None:
    """One is written beyond 180, one with a jump; their numbers do not fit bits."""
    a, b = (171.3, -10.1), (-172.7, 3.3)
    c, d = (160.12345678912345, 21.7), (-165.71234567898765, 30.2)
    north = [a, b, d, c, a]
    south = [(171.3, -30.7), (188.9, -31.1), (187.3, 3.3), (171.3, -10.1), (171.3, -30.7)]
    east = [(-171.1, -31.1), (-150.1, 0.1), d, b, (-171.1, -31.1)]
    cut(layer_job, feature("Asia", north), feature("Europe", south), feature("Africa", east))
    code = "t = gpd.read_parquet(a[0])\n"
    code += "answer = bool(shapely.coverage_is_valid(t.geometry.to_numpy()))"
    assert layer_job.ask(code, layer_job.folder / "regions.parquet")
    assert [p for p in layer_job.problems if p["code"] in ("overlap", "gap")] == []


def test_noise_at_the_edge_of_the_world_is_taken_off(layer_job: Job) -> None:
    ring = [
        (170.0, 0.0),
        (180.0000005, 0.0),
        (180.0000005, 10.0),
        (170.0, 10.0),
        (170.0, 0.0),
    ]
    bounds, _, _ = cut(layer_job, feature("Asia", ring))["Asia"]
    assert bounds == [[170.0, 0.0, 180.0, 10.0]]
