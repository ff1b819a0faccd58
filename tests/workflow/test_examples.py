"""The example files are what their script writes, and what their definitions allow."""

from __future__ import annotations

import runpy
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PROJECT = EXAMPLES / "project-workflow"
WORKBOOKS = ("example-workbook.xlsx", "workbook-with-mistakes.xlsx")
IAMC = ("Model", "Scenario", "Region", "Variable", "Unit")
YEARS = tuple(range(2010, 2101, 10))


def sheet(workbook: str, name: str) -> list[tuple[Any, ...]]:
    """Read all rows of a sheet."""
    book = openpyxl.load_workbook(EXAMPLES / workbook, read_only=True)
    return list(book[name].iter_rows(values_only=True))


@pytest.fixture(scope="module")
def data() -> list[tuple[Any, ...]]:
    return sheet("example-workbook.xlsx", "data")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield runpy.run_path(str(EXAMPLES / "make_workbook.py"))
    sys.modules.pop("scenarios", None)


@pytest.mark.parametrize("name", WORKBOOKS)
def test_the_script_writes_the_committed_cells(
    name: str, script: dict[str, Any], tmp_path: Path
) -> None:
    main: Callable[[Path], None] = script["main"]
    main(tmp_path)
    with zipfile.ZipFile(EXAMPLES / name) as committed, zipfile.ZipFile(tmp_path / name) as written:
        assert committed.namelist() == written.namelist()
        for member in committed.namelist():  # not the packed bytes: they depend on zlib's version
            assert committed.read(member) == written.read(member), member


def test_the_workbook_is_as_large_as_promised(data: list[tuple[Any, ...]]) -> None:
    assert data[0] == (*IAMC, *YEARS)
    body = data[1:]
    assert len({row[0] for row in body}) == 2
    assert len({row[:2] for row in body}) == 6
    assert 40 <= len({row[3] for row in body}) <= 50
    assert {len(row) for row in body} == {15}
    assert all(isinstance(value, int | float) for row in body for value in row[5:])
    for name in WORKBOOKS:
        assert (EXAMPLES / name).stat().st_size < 300_000


def test_the_meta_sheet_has_an_indicator_of_each_type() -> None:
    head, *lines = sheet("example-workbook.xlsx", "meta")
    assert head == ("Model", "Scenario", "Category", "Peak Warming", "SSP", "Reviewed", "exclude")
    assert len(lines) == 6
    for line in lines:
        assert [type(value) for value in line[2:]] == [str, float, int, bool, bool]


def test_totals_are_the_sums_of_their_parts(
    data: list[tuple[Any, ...]], script: dict[str, Any]
) -> None:
    values = {row[:4]: row[5:] for row in data[1:]}
    places = {key[:3] for key in values if key[2] != "World"}
    assert len(places) == 3 * 5 + 3 * 7
    for place in places:
        for total, parts in script["TOTALS"].items():
            for i, value in enumerate(values[(*place, total)]):
                assert value == pytest.approx(sum(values[(*place, p)][i] for p in parts), abs=0.02)


def definitions() -> dict[str, str]:
    """Give the unit of every variable that the example repository defines."""
    units: dict[str, str] = {}
    tags: dict[str, list[str]] = {}
    for path in sorted((PROJECT / "definitions/variable").glob("tag_*.yaml")):
        for tag in yaml.safe_load(path.read_text(encoding="utf-8")):
            tags |= {name: [key for item in items for key in item] for name, items in tag.items()}
    for path in sorted((PROJECT / "definitions/variable").glob("[!t]*.yaml")):
        for item in yaml.safe_load(path.read_text(encoding="utf-8")):
            ((name, attributes),) = item.items()
            tag = name.partition("{")[2].partition("}")[0]
            for value in tags.get(tag, [""]):
                units[name.replace(f"{{{tag}}}", value)] = attributes["unit"]
    return units


def test_the_definitions_know_every_variable_and_unit_and_no_other(
    data: list[tuple[Any, ...]],
) -> None:
    assert {row[3]: row[4] for row in data[1:]} == definitions()


def test_the_mappings_take_every_native_region_to_a_defined_one(
    data: list[tuple[Any, ...]],
) -> None:
    text = (PROJECT / "definitions/region/regions.yaml").read_text(encoding="utf-8")
    defined = {
        name if isinstance(name, str) else next(iter(name))
        for group in yaml.safe_load(text)
        for names in group.values()
        for name in names
    }
    for path in sorted((PROJECT / "mappings").glob("*.yaml")):
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
        native = {old: new for item in mapping["native_regions"] for old, new in item.items()}
        common = {name: of for item in mapping["common_regions"] for name, of in item.items()}
        submitted = {row[2] for row in data[1:] if row[0] == mapping["model"]} - {"World"}
        assert native.keys() == submitted
        assert set(native.values()) | set(common) <= defined
        assert sorted(common["World"]) == sorted(native)
        others = [region for name, of in common.items() if name != "World" for region in of]
        assert sorted(others) == sorted(native), "each native region is in one common region"


def test_the_mistakes_are_those_that_the_script_names(data: list[tuple[Any, ...]]) -> None:
    spoilt = sheet("workbook-with-mistakes.xlsx", "data")
    added = [row for row in spoilt if row not in data]
    assert len(spoilt) == len(data) + 1
    assert len(spoilt) - len(set(spoilt)) == 1, "one row stands there twice"
    assert len(added) == 5
    regions, variables, units = ({row[i] for row in data} for i in (2, 3, 4))
    assert {row[2] for row in added} - regions == {"Euraisa"}
    assert {row[3] for row in added} - variables == {"Primary Enregy|Coal"}
    assert {row[4] for row in added} - units == {"Mtoe/yr"}
    texts = {value for row in added for value in row[5:] if isinstance(value, str)}
    assert texts == {"tbd", "5,200"}


def test_the_example_repository_pins_its_packages() -> None:
    lines = (PROJECT / "requirements.txt").read_text(encoding="utf-8").split()
    assert lines
    assert all(line.count("==") == 1 for line in lines)


def test_the_example_repository_stands_on_its_own(tmp_path: Path) -> None:
    copy = shutil.copytree(PROJECT, tmp_path / "copy")
    for path in copy.rglob("*"):
        assert not path.is_symlink()
    source = (copy / "workflow.py").read_text(encoding="utf-8")
    compile(source, "workflow.py", "exec")
    assert "def main(df: pyam.IamDataFrame) -> pyam.IamDataFrame:" in source
