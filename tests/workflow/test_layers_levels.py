"""At each detail level neighbours have the same border, whatever the layer is like."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.workflow.layering import Job, feature, geojson, square

# random regions: cells around random points, with roughened borders that neighbours share
MOSAIC = """
import math
rng = np.random.default_rng(int(a[1]))
points = shapely.multipoints(rng.uniform([-20, 30], [40, 70], (25, 2)))
cells = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=shapely.box(-25, 25, 45, 75)))
cells = [c.intersection(shapely.box(-25, 25, 45, 75)) for c in cells]
lines = shapely.get_parts(shapely.line_merge(shapely.union_all([c.boundary for c in cells])))
def rough(line):
    xy = shapely.get_coordinates(shapely.segmentize(line, 0.05))
    noise = np.cumsum(rng.normal(0, 0.004, xy.shape), axis=0)
    noise -= noise[0]
    share = np.linspace(0, 1, len(xy))[:, None]
    return shapely.linestrings(xy + noise - share * noise[-1])
lines = shapely.union_all([rough(line) for line in lines])
faces = [f for f in shapely.get_parts(shapely.polygonize([lines])) if f.area > 1]
table = gpd.GeoDataFrame({'region': [f'r{i}' for i in range(len(faces))]}, geometry=faces, crs=4326)
table.to_parquet(a[0])
answer = [len(table), bool(shapely.coverage_is_valid(table.geometry.to_numpy()))]
"""
LEVEL = """
t = gpd.read_parquet(a[0])
g = t.geometry.to_numpy()
answer = {
    'coverage': bool(shapely.coverage_is_valid(g)), 'valid': bool(shapely.is_valid(g).all()),
    'points': int(shapely.get_num_coordinates(g).sum()), 'regions': len(t),
    'empty': int(shapely.is_empty(g).sum()), 'area': float(shapely.area(g).sum()),
    'whole': float(shapely.union_all(g).area), 'kinds': sorted(set(t.geom_type)),
}
"""


def prepared(job: Job, *features: dict[str, Any]) -> None:
    """Run the stages read, check and simplify."""
    assert job.read(geojson(job.folder / "layer.geojson", features)), job.said
    assert job.check("--unknown-regions", "keep"), job.said
    assert job.simplify(), job.said


@pytest.mark.parametrize("seed", [1, 2])
def test_neighbours_share_borders_at_each_level_without_gaps_and_overlaps(
    layer_job: Job, seed: int
) -> None:
    source = layer_job.folder / "mosaic.parquet"
    count, coverage = layer_job.ask(MOSAIC, source, str(seed))
    assert coverage
    assert count >= 20
    layer_job.levels = {"low": 2.0, "medium": "30 km", "high": "16000 px", "full": 0}
    assert layer_job.read(source), layer_job.said
    assert layer_job.check("--unknown-regions", "keep"), layer_job.said
    assert layer_job.simplify(), layer_job.said
    points = []
    for path in layer_job.level_files:
        level = layer_job.ask(LEVEL, path)
        assert (level["coverage"], level["valid"], level["empty"]) == (True, True, 0)
        assert level["kinds"] == ["MultiPolygon"]
        assert level["regions"] == count
        assert level["area"] == pytest.approx(level["whole"], rel=1e-12), "an overlap"
        assert level["area"] == pytest.approx(70 * 50, rel=0.05)
        points.append(level["points"])
    assert points == sorted(points)
    assert points[0] < points[-1] / 20


def test_regions_that_overlap_share_borders_all_the_same(layer_job: Job) -> None:
    """A region of two countries beside these, and one that lies across: borders stay the same."""
    wave = [(x / 50, 10 + (x % 7 - 3) / 40) for x in range(1001)]
    north = [*wave, (20.0, 20.0), (0.0, 20.0), wave[0]]
    south = [(0.0, 0.0), (20.0, 0.0), *reversed(wave), (0.0, 0.0)]
    both = [(0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (0.0, 20.0), (0.0, 0.0)]
    layer = [feature("Asia", north), feature("Europe", south), feature("Africa", both)]
    prepared(layer_job, *layer, feature("other", square(5, 5)))
    document = json.loads((layer_job.folder / "simplified.json").read_text())
    assert document["coverage"] is False
    code = """
t = gpd.read_parquet(a[0]).set_index('region').geometry
pair = t[['Asia', 'Europe']].to_numpy()
answer = [bool(shapely.coverage_is_valid(pair)),
          shapely.symmetric_difference(shapely.union_all(pair), t['Africa']).area,
          t['other'].area, int(shapely.get_num_coordinates(t.to_numpy()).sum())]
"""
    for path in layer_job.level_files:
        coverage, difference, area, _ = layer_job.ask(code, path)
        assert coverage
        assert difference < 1e-9
        assert area == pytest.approx(100, rel=0.05)
    assert document["levels"]["low"]["points"] < document["points"] / 10


def test_borders_with_other_vertices_on_either_side_do_not_open(layer_job: Job) -> None:
    left = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0), (0.0, 0.0)]
    right = [(10.0, 0.0), (20.0, 0.0), (20.0, 10.0), (10.0, 10.0), (10.0, 3.0), (10.0, 0.0)]
    prepared(layer_job, feature("Asia", left), feature("Europe", right))
    for path in layer_job.level_files:
        level = layer_job.ask(LEVEL, path)
        assert level["coverage"]
        assert level["whole"] == pytest.approx(200, rel=1e-9)


def test_small_islands_are_kept_at_the_lowest_level(layer_job: Job) -> None:
    layer_job.levels = {"low": 5.0}
    prepared(layer_job, feature("Asia", square(0, 0, 60)), feature("Europe", square(70, 0, 0.01)))
    level = layer_job.ask(LEVEL, layer_job.level_files[0])
    assert (level["empty"], level["valid"]) == (0, True)


@pytest.mark.parametrize(
    ("asked", "degrees"),
    [(0.5, 0.5), ("0.5 deg", 0.5), ("55.66 km", 0.5), ("55660m", 0.5), ("200 px", 0.5), (0, 0)],
)
def test_tolerances_may_be_degrees_lengths_or_pixels(
    layer_job: Job, asked: float | str, degrees: float
) -> None:
    layer_job.levels = {"only": asked}
    prepared(layer_job, feature("Asia", square(-50, -50, 100)))
    document = json.loads((layer_job.folder / "simplified.json").read_text())
    assert document["levels"]["only"]["tolerance"] == degrees


def test_what_is_no_tolerance_is_refused(layer_job: Job) -> None:
    layer_job.levels = {"only": "5 miles"}
    assert layer_job.read(geojson(layer_job.folder / "x.geojson", [feature("Asia", square(0, 0))]))
    assert layer_job.check(), layer_job.said
    assert not layer_job.simplify()
    assert layer_job.error["code"] == "wrong_tolerance"
