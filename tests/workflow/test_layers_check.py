"""Names are compared with the platform, shapes are repaired or refused; all problems at once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.postgresql import PASSWORD, Server
from tests.workflow.layering import SQUARES, Job, feature, geojson, point, square, squares
from tests.workflow.warm import Warm

BOW_TIE = [(0, 0), (10, 10), (10, 0), (0, 10), (0, 0)]


def layer(job: Job, *features: dict[str, Any]) -> Job:
    """Read a layer of features."""
    assert job.read(geojson(job.folder / "layer.geojson", features)), job.said
    return job


def usual(*without: str) -> list[dict[str, Any]]:
    """Give the three squares, or some of them."""
    return [feature(name, square(*at)) for name, at in SQUARES.items() if name not in without]


def test_a_layer_with_all_regions_has_no_problem(layer_job: Job) -> None:
    assert layer(layer_job, *usual()).check(), layer_job.said
    assert layer_job.problems == []
    checked = json.loads((layer_job.folder / "checked.json").read_text())
    assert (checked["name_column"], checked["regions"], checked["missing"]) == ("region", 3, [])


def test_an_unknown_region_is_refused_with_the_nearest_one(layer_job: Job) -> None:
    assert not layer(layer_job, *usual("Asia"), feature("Aisa", square(60, 10))).check()
    assert layer_job.error["code"] == "invalid_layer"
    (problem,) = (p for p in layer_job.problems if p["severity"] == "error")
    assert (problem["code"], problem["value"], problem["row"]) == ("unknown_region", "Aisa", 3)
    assert problem["suggestions"][0] == "Asia"
    assert "shape 3, column region: 'Aisa'" in layer_job.error["message"]
    assert "Did you mean 'Asia'" in layer_job.error["message"]
    assert not (layer_job.folder / "regions.parquet").exists()


def test_unknown_regions_are_left_out_or_kept_where_that_is_asked_for(layer_job: Job) -> None:
    layer(layer_job, *usual(), feature("Atlantis", square(-40, 30)))
    assert layer_job.check("--unknown-regions", "leave_out"), layer_job.said
    assert layer_job.found("warning") == [("unknown_region", "Atlantis")]
    assert set(layer_job.shapes(layer_job.folder / "regions.parquet")) == set(SQUARES)
    assert layer_job.check("--unknown-regions", "keep"), layer_job.said
    assert "Atlantis" in layer_job.shapes(layer_job.folder / "regions.parquet")


def test_a_platform_without_regions_is_one_problem_and_not_one_for_each_shape(
    layer_job: Job, empty_sqlite: Path
) -> None:
    layer_job.platform = empty_sqlite
    assert not layer(layer_job, *usual()).check()
    assert layer_job.found() == [("no_regions", None)]


def test_shapes_of_one_region_are_refused_unless_they_may_become_one(layer_job: Job) -> None:
    layer(layer_job, *usual(), feature("Asia", square(70, 10)))
    assert not layer_job.check()
    assert layer_job.found() == [("duplicate_region", "Asia")]
    assert "1, 4" in layer_job.error["message"]
    assert layer_job.check("--dissolve"), layer_job.said
    code = "t = gpd.read_parquet(a[0])\nanswer = t[t.region == 'Asia'].geometry.area.to_list()"
    assert layer_job.ask(code, layer_job.folder / "regions.parquet") == [200.0]


def test_a_missing_region_is_a_note_or_a_problem_as_asked(layer_job: Job) -> None:
    layer(layer_job, *usual("Africa"))
    assert layer_job.check(), layer_job.said
    assert layer_job.found("note") == [("missing_region", "1")]
    assert not layer_job.check("--missing-regions", "refuse")
    assert layer_job.found() == [("missing_region", "Africa")]


def test_where_no_column_has_names_the_columns_are_shown(layer_job: Job) -> None:
    features = [feature(f"x{i}", square(i * 20, 0), code=f"c{i}", text="t") for i in range(3)]
    for one in features:
        one["properties"]["key"] = one["properties"].pop("region")
    assert not layer(layer_job, *features).check()
    assert layer_job.error["code"] == "no_name_column"
    assert "key: x0, x1, x2" in layer_job.error["message"]


def test_a_shape_without_a_name_is_a_problem(layer_job: Job) -> None:
    assert not layer(layer_job, *usual(), feature(None, square(-50, 0))).check()
    assert [code for code, _ in layer_job.found()] == ["missing_name"]


def test_points_are_refused_alone_and_among_polygons(layer_job: Job) -> None:
    assert not layer(layer_job, point("Asia"), point("Europe")).check()
    assert [code for code, _ in layer_job.found()] == ["not_a_polygon"]
    assert "2 shapes are no polygons but Point" in layer_job.error["message"]
    assert not layer(layer_job, *usual("Asia"), point("Asia")).check()
    assert [code for code, _ in layer_job.found()] == ["not_a_polygon"]


def test_a_shape_that_is_not_there_is_left_out_with_a_warning(layer_job: Job) -> None:
    assert layer(layer_job, *usual("Asia"), feature("Asia")).check(), layer_job.said
    assert layer_job.found("warning") == [("empty_shape", "Asia")]
    assert not layer(layer_job, feature("Asia")).check()
    assert layer_job.error["code"] == "no_polygons"


def test_polygons_among_other_shapes_of_a_collection_are_taken(layer_job: Job) -> None:
    parts = [feature("x", square(60, 10))["geometry"], point("x")["geometry"]]
    mixed = feature("Asia")
    mixed["geometry"] = {"type": "GeometryCollection", "geometries": parts}
    assert layer(layer_job, *usual("Asia"), mixed).check(), layer_job.said
    assert layer_job.found("warning") == [("mixed_shape", "Asia")]
    assert "Asia" in layer_job.shapes(layer_job.folder / "regions.parquet")


def test_an_invalid_polygon_is_repaired_and_listed_with_reason_and_area(layer_job: Job) -> None:
    assert layer(layer_job, *usual("Africa"), feature("Africa", BOW_TIE)).check(), layer_job.said
    (problem,) = (p for p in layer_job.problems if p["severity"] == "warning")
    assert (problem["code"], problem["row"]) == ("repaired_shape", 3)
    assert "Self-intersection near 5.0000, 5.0000" in problem["message"]
    (repair,) = json.loads((layer_job.folder / "checked.json").read_text())["repairs"]
    assert repair["area_after"] == pytest.approx(615_000, rel=0.01)  # half of a square at 0°
    code = "answer = bool(gpd.read_parquet(a[0]).is_valid.all())"
    assert layer_job.ask(code, layer_job.folder / "regions.parquet")


def test_a_polygon_without_area_cannot_be_repaired(layer_job: Job) -> None:
    flat = [(0, 0), (10, 10), (0, 0), (0, 0)]
    assert not layer(layer_job, *usual("Africa"), feature("Africa", flat)).check()
    assert layer_job.found() == [("collapsed_shape", "Africa")]


@pytest.mark.parametrize("at", [(500_000.0, 4_000_000.0), (0.0, 85.0), (355.0, 0.0)])
def test_coordinates_outside_the_world_are_refused(layer_job: Job, at: tuple[float, float]) -> None:
    assert not layer(layer_job, *usual("Africa"), feature("Africa", square(*at))).check()
    assert layer_job.found() == [("outside_world", "Africa")]
    assert "wrong coordinate reference system" in layer_job.error["message"]


def test_all_problems_are_told_at_once(layer_job: Job) -> None:
    layer_job.read(ROOT / "examples" / "layer-with-mistakes.geojson")
    names = ["World", "R5ASIA", "R5LAM", "R5MAF", "R5OECD90+EU", "R5REF"]
    from tests.workflow.layering import add_regions

    assert layer_job.platform is not None
    add_regions(layer_job.platform, names)
    assert not layer_job.check()
    assert {code for code, _ in layer_job.found()} == {
        "unknown_region", "duplicate_region", "missing_name", "not_a_polygon",
    }  # fmt: skip
    assert ("repaired_shape", "World") in layer_job.found("warning")
    for code in ("unknown_region", "duplicate_region", "missing_name", "not_a_polygon"):
        assert f"1 {code}" in layer_job.error["message"]
    assert (layer_job.folder / "results" / "problems.csv").is_file()


def test_overlaps_are_told_and_are_closed_only_where_that_is_asked_for(layer_job: Job) -> None:
    near = [feature("Asia", square(0, 0)), feature("Europe", square(9.9, 0))]
    assert layer(layer_job, *near, feature("Africa", square(2, 2, 1))).check(), layer_job.said
    messages = [(p["severity"], p["value"]) for p in layer_job.problems if p["code"] == "overlap"]
    assert sorted(messages) == [("note", "Africa; Asia"), ("warning", "Asia; Europe")]
    assert layer(layer_job, *near).check("--close-gaps", "20 km"), layer_job.said
    code = "t = gpd.read_parquet(a[0])\n"
    code += "answer = bool(shapely.coverage_is_valid(t.geometry.to_numpy()))"
    assert layer_job.ask(code, layer_job.folder / "regions.parquet")
    assert {code for code, _ in layer_job.found("warning")} == {"borders_closed"}


def test_a_narrow_gap_is_told_with_the_width_that_closes_it(layer_job: Job) -> None:
    left = [(0, 0), (10, 0), (10, 4), (9.999, 5), (10, 6), (10, 10), (0, 10), (0, 0)]
    layer(layer_job, feature("Asia", left), feature("Europe", square(10, 0)))
    assert layer_job.check(), layer_job.said
    (gap,) = (p for p in layer_job.problems if p["code"] == "gap")
    assert gap["value"] == "Asia; Europe"
    found = re.search(r"close_gaps, such as (\d+ m)", gap["message"])
    assert found is not None
    assert layer_job.check("--close-gaps", found[1]), layer_job.said
    code = "answer = shapely.union_all(gpd.read_parquet(a[0]).geometry.to_numpy()).area"
    assert layer_job.ask(code, layer_job.folder / "regions.parquet") == pytest.approx(200)


def test_names_of_a_postgresql_platform_need_only_the_right_to_read(
    tmp_path: Path, geo_warm: Warm, postgres: Server, postgres_dsn: str
) -> None:
    rows = ", ".join(f"('{name}', 'common')" for name in SQUARES)
    postgres.sql("platform", f"INSERT INTO region (name, hierarchy) VALUES {rows}")
    postgres.sql(
        "platform", f"CREATE ROLE looker LOGIN PASSWORD '{PASSWORD}'",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker",
    )  # fmt: skip
    job = Job(tmp_path, geo_warm, None)
    job.environment["JOBRUNNER_PLATFORM_DSN"] = postgres.dsn("platform", user="looker")
    try:
        assert layer(job, *usual()).check(), job.said
        assert not layer(job, *usual("Asia"), feature("Aisa", square(60, 10))).check()
        assert job.found() == [("unknown_region", "Aisa")]
    finally:
        postgres.sql("platform", "DROP OWNED BY looker", "DROP ROLE looker")


def test_a_platform_that_is_away_is_one_error_without_its_password(
    tmp_path: Path, geo_warm: Warm
) -> None:
    job = Job(tmp_path, geo_warm, None)
    job.environment["JOBRUNNER_PLATFORM_DSN"] = "postgresql+psycopg://u:hidden-word@127.0.0.1:1/x"
    assert not layer(job, *usual()).check()
    assert job.error["code"] in ("platform_unreachable", "platform_unavailable")
    assert "hidden-word" not in job.said + json.dumps(job.error)
    job.environment.pop("JOBRUNNER_PLATFORM_DSN")
    assert not job.check()
    assert job.error["code"] == "platform_unavailable"


def test_tables_of_an_unknown_version_are_refused(layer_job: Job) -> None:
    import sqlite3

    assert layer_job.platform is not None
    connection = sqlite3.connect(layer_job.platform)
    connection.execute("UPDATE alembic_version SET version_num = 'f00'")
    connection.commit()
    connection.close()
    assert not layer(layer_job, *usual()).check()
    assert layer_job.error["code"] == "platform_revision"


def test_the_same_squares_written_twice_are_found_equal(layer_job: Job, tmp_path: Path) -> None:
    """The coordinates of the file reach the table unchanged."""
    assert layer_job.read(squares(tmp_path / "squares.geojson"))
    assert layer_job.check(), layer_job.said
    shapes = layer_job.shapes(tmp_path / "regions.parquet")
    assert {tuple(p) for p in shapes["Asia"][0][0]} == set(square(60, 10))
