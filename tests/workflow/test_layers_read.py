"""A layer of any kind is read the same way; what cannot be read is refused with one clear error."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.layering import Job, feature, geojson, square, squares

KINDS = ("gpkg", "zip", "fgb", "parquet", "geojson")


def layer(job: Job, kind: str, **options: Any) -> Path:
    """Write the three squares as a file of some kind."""
    source = squares(job.folder / "squares.geojson")
    if kind == "geojson":
        return source
    if kind != "zip":
        return job.convert(source, job.folder / f"squares.{kind}", **options)
    folder = job.folder / "shapefile"
    folder.mkdir(exist_ok=True)
    job.convert(source, folder / "squares.shp", **options)
    return zipped(job.folder / "squares.zip", folder)


def zipped(path: Path, folder: Path, *without: str, inside: str = "") -> Path:
    """Put the files of a folder into an archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            if file.suffix not in without:
                archive.write(file, f"{inside}{file.name}")
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_table(layer_job: Job, kind: str) -> None:
    file = layer(layer_job, kind)
    before = file.read_bytes()
    assert layer_job.read(file), layer_job.said
    code = "t = gpd.read_parquet(a[0]).sort_values('region')\nt['geometry'] = t.normalize()\n"
    code += "answer = [t.crs.to_string(), t['region'].to_list(), t.geometry.area.to_list()]"
    found = layer_job.ask(code, layer_job.folder / "layer.parquet")
    assert found == ["EPSG:4326", ["Africa", "Asia", "Europe"], [100.0] * 3]
    assert file.read_bytes() == before
    beside = {path.name for path in layer_job.folder.glob("squares.*")}
    assert beside <= {"squares.geojson", file.name}, "a driver left files beside the input"


def test_other_coordinates_are_turned_into_longitude_and_latitude(layer_job: Job) -> None:
    file = layer(layer_job, "gpkg", crs="EPSG:3857")
    assert layer_job.read(file), layer_job.said
    code = "answer = list(gpd.read_parquet(a[0]).total_bounds)"
    found = layer_job.ask(code, layer_job.folder / "layer.parquet")
    assert found == pytest.approx([0, 0, 70, 50], abs=1e-9)
    source = json.loads((layer_job.folder / "source.json").read_text())
    assert source["crs"] == "WGS 84 / Pseudo-Mercator (EPSG:3857)"


@pytest.mark.parametrize("kind", ["gpkg", "zip", "parquet", "fgb"])
def test_a_layer_without_a_coordinate_reference_system_is_refused_with_advice(
    layer_job: Job, kind: str
) -> None:
    file = layer(layer_job, kind, no_crs=True)
    assert not layer_job.read(file)
    assert layer_job.error["code"] == "no_crs"
    assert "-a_srs EPSG:4326" in layer_job.error["message"]
    assert layer_job.read(file, "--crs", "EPSG:4326"), layer_job.said


@pytest.mark.parametrize("named", ["EPSG:3035", "somewhere"])
def test_a_parameter_does_not_overrule_what_the_file_says(layer_job: Job, named: str) -> None:
    assert not layer_job.read(layer(layer_job, "gpkg"), "--crs", named)
    assert layer_job.error["code"] == "wrong_crs"


@pytest.mark.parametrize("share", [0.4, 0.98])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_short_is_refused(layer_job: Job, kind: str, share: float) -> None:
    many = {f"r{i}": (float(i % 17) * 10, float(i // 17) * 10) for i in range(100)}
    squares(layer_job.folder / "squares.geojson", many)
    file = layer_job.folder / f"squares.{kind}"
    if kind not in ("geojson", "zip"):
        layer_job.convert(layer_job.folder / "squares.geojson", file)
    elif kind == "zip":
        file = layer(layer_job, "zip")
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    assert not layer_job.read(file)
    assert layer_job.error["code"] == "damaged_file", layer_job.said
    assert not (layer_job.folder / "layer.parquet").exists()
    assert not list(layer_job.folder.glob(".*")), "something was left behind"


def test_a_geopackage_with_a_damaged_page_is_refused(layer_job: Job) -> None:
    file = layer(layer_job, "gpkg")
    content = bytearray(file.read_bytes())
    for at in range(4096 * 3, len(content), 4096):
        content[at : at + 40] = b"\xff" * 40
    file.write_bytes(content)
    assert not layer_job.read(file)
    assert layer_job.error["code"] == "damaged_file"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.gpkg", b"region,area\nAsia,3\n", "not a GeoPackage, as its name says, but a text file"),
        ("a.zip", b"%PDF-1.7", "a PDF document"),
        ("a.geojson", b"SQLite format 3\0" + b"\0" * 100, "but a GeoPackage"),
        ("a.parquet", b"\0\1\2\3", "something else"),
        ("a.json", b"[1, 2]", "but a text file"),
        ("a.fgb", b"<html><body>not found</body>", "XML or HTML text"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused_with_what_it_is(
    layer_job: Job, name: str, content: bytes, said: str
) -> None:
    file = layer_job.folder / name
    file.write_bytes(content)
    assert not layer_job.read(file)
    assert layer_job.error["code"] == "not_a_layer"
    assert said in layer_job.error["message"]


def test_an_empty_file_and_an_empty_layer_are_refused(layer_job: Job) -> None:
    empty = layer_job.folder / "empty.geojson"
    empty.write_bytes(b"")
    assert not layer_job.read(empty)
    assert layer_job.error["code"] == "empty_file"
    assert not layer_job.read(geojson(empty, []))
    assert layer_job.error["code"] == "no_data"


def test_a_parquet_table_without_shapes_is_refused(layer_job: Job) -> None:
    code = "import pandas as pd\npd.DataFrame({'region': ['Asia']}).to_parquet(a[0])\nanswer = 1"
    layer_job.ask(code, layer_job.folder / "table.parquet")
    assert not layer_job.read(layer_job.folder / "table.parquet")
    assert layer_job.error["code"] == "not_a_layer"


def test_of_several_layers_one_must_be_named(layer_job: Job) -> None:
    file = layer_job.folder / "two.gpkg"
    source = squares(layer_job.folder / "squares.geojson")
    layer_job.convert(source, file, layer="fine")
    layer_job.convert(source, file, layer="coarse")
    assert not layer_job.read(file)
    assert layer_job.error["code"] == "several_layers"
    assert "fine, coarse" in layer_job.error["message"]
    assert not layer_job.read(file, "--layer-in-file", "corse")
    assert "Did you mean 'coarse'" in layer_job.error["message"]
    assert layer_job.read(file, "--layer-in-file", "coarse"), layer_job.said


def test_a_table_beside_the_layer_does_not_make_it_unclear(layer_job: Job) -> None:
    file = layer(layer_job, "gpkg")
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
    connection.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier)"
        " VALUES ('notes', 'attributes', 'notes')"
    )
    connection.commit()
    connection.close()
    assert layer_job.read(file), layer_job.said


@pytest.mark.parametrize(
    ("without", "code"),
    [((".shx",), "incomplete_shapefile"), ((".dbf",), "incomplete_shapefile"),
     ((".shp",), "no_shapefile"), ((".prj",), "no_crs")],
)  # fmt: skip
def test_an_archive_without_a_part_of_the_shapefile_says_which(
    layer_job: Job, without: tuple[str, ...], code: str
) -> None:
    layer(layer_job, "zip")
    file = zipped(layer_job.folder / "a.zip", layer_job.folder / "shapefile", *without)
    assert not layer_job.read(file)
    assert layer_job.error["code"] == code
    assert code != "incomplete_shapefile" or without[0] in layer_job.error["message"]


def test_a_shapefile_in_a_folder_beside_rubbish_is_found(layer_job: Job) -> None:
    layer(layer_job, "zip")
    folder = layer_job.folder / "shapefile"
    file = zipped(layer_job.folder / "a.zip", folder, inside="data/2026/")
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("__MACOSX/data/._squares.shp", b"x")
        archive.writestr("readme.txt", b"hello")
    assert layer_job.read(file), layer_job.said


def test_two_shapefiles_in_an_archive_need_a_name(layer_job: Job) -> None:
    layer(layer_job, "zip")
    folder = layer_job.folder / "shapefile"
    for path in list(folder.iterdir()):
        path.with_name(f"other{path.suffix}").write_bytes(path.read_bytes())
    file = zipped(layer_job.folder / "a.zip", folder)
    assert not layer_job.read(file)
    assert layer_job.error["code"] == "several_layers"
    assert not layer_job.read(file, "--layer-in-file", "othr")
    assert layer_job.error["code"] == "unknown_layer"
    assert layer_job.read(file, "--layer-in-file", "other"), layer_job.said


def test_an_archive_that_leads_out_or_unpacks_without_end_is_refused(layer_job: Job) -> None:
    file = layer_job.folder / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../evil.shp", b"x")
    assert not layer_job.read(file)
    assert layer_job.error["code"] == "unsafe_archive"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.shp", b"\0" * 300_000_000)
    assert not layer_job.read(file)
    assert layer_job.error["code"] == "archive_bomb"


def test_names_of_a_shapefile_in_utf_8_stay_what_they_are_without_a_cpg(layer_job: Job) -> None:
    source = geojson(layer_job.folder / "x.geojson", [feature("Österreich", square(9, 46, 5))])
    folder = layer_job.folder / "shapefile"
    folder.mkdir()
    layer_job.convert(source, folder / "x.shp")
    assert layer_job.read(zipped(layer_job.folder / "a.zip", folder, ".cpg")), layer_job.said
    code = "answer = gpd.read_parquet(a[0])['region'].to_list()"
    assert layer_job.ask(code, layer_job.folder / "layer.parquet") == ["Österreich"]
