"""Names may be replaced by a mapping, and the column that has them is found or chosen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.workflow.layering import SQUARES, Job, feature, geojson, point, square


def layer(job: Job, *features: dict[str, Any]) -> Job:
    """Read a layer of features."""
    assert job.read(geojson(job.folder / "layer.geojson", features)), job.said
    return job


def usual(*without: str) -> list[dict[str, Any]]:
    """Give the three squares, or some of them."""
    return [feature(name, square(*at)) for name, at in SQUARES.items() if name not in without]


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parameter"])
def test_names_are_replaced_and_shapes_left_out_by_a_mapping(layer_job: Job, kind: str) -> None:
    layer(layer_job, feature("AS", square(60, 10)), feature("EU", square(0, 40)), point("sea"))
    pairs = {"AS": "Asia", "EU": "Europe", "sea": "", "nowhere": "Africa"}
    option = ["--mapping", json.dumps(pairs)]
    if kind != "parameter":
        file = layer_job.folder / f"mapping.{kind}"
        rows = [["From", "To"], *map(list, pairs.items())]
        if kind == "csv":
            file.write_text("\n".join(";".join(row) for row in rows))
        else:
            import openpyxl

            book = openpyxl.Workbook()
            for row in rows:
                book.active.append(row)
            book.save(file)
        option = ["--mapping-file", str(file)]
    option += ["--name-column", "region"]
    assert layer_job.check(*option), layer_job.said
    assert set(layer_job.shapes(layer_job.folder / "regions.parquet")) == {"Asia", "Europe"}
    assert layer_job.found("warning") == [("unused_mapping", "nowhere")]
    checked = json.loads((layer_job.folder / "checked.json").read_text())
    assert checked["left_out"] == ["sea"]
    assert {"from": "AS", "to": "Asia"} in checked["renamed"]


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "empty_file"), ("old,new\na,b\n", "missing_columns"),
     ("from,to\na,b\na,c\n", "doubled_mapping"), ("from,to\n,c\n", "doubled_mapping")],
)  # fmt: skip
def test_a_mapping_that_is_not_clear_is_refused(layer_job: Job, text: str, code: str) -> None:
    file = layer_job.folder / "mapping.csv"
    file.write_text(text)
    assert not layer(layer_job, *usual()).check("--mapping-file", str(file))
    assert layer_job.error["code"] == code


def test_a_mapping_file_of_another_kind_or_encoding_is_refused(layer_job: Job) -> None:
    layer(layer_job, *usual())
    for name, content, code in (
        ("m.xlsx", b"PK\3\4 cut short", "damaged_file"),
        ("m.csv", "from,to\nÖst,Asia\n".encode("latin-1"), "wrong_encoding"),
    ):
        (layer_job.folder / name).write_bytes(content)
        assert not layer_job.check("--mapping-file", str(layer_job.folder / name))
        assert layer_job.error["code"] == code, layer_job.said


def test_the_column_of_names_is_found_by_the_platforms_regions(layer_job: Job) -> None:
    features = [feature(f"{i}", square(*at), title=n) for i, (n, at) in enumerate(SQUARES.items())]
    assert layer(layer_job, *features).check(), layer_job.said
    assert json.loads((layer_job.folder / "checked.json").read_text())["name_column"] == "title"


def test_where_several_columns_have_names_one_must_be_chosen(layer_job: Job) -> None:
    features = [feature(n, square(*at), part="Asia") for n, at in SQUARES.items()]
    layer(layer_job, *features)
    assert not layer_job.check()
    assert layer_job.error["code"] == "several_name_columns"
    assert "region (3 shapes), part (3 shapes)" in layer_job.error["message"]
    assert layer_job.check("--name-column", "region"), layer_job.said
    assert not layer_job.check("--name-column", "regoin")
    assert layer_job.error["code"] == "unknown_column"
    assert "Did you mean 'region'" in layer_job.error["message"]
