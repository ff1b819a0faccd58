"""Stages write and bundle: whole files, resumed after a kill, described by a manifest."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openpyxl
import polars as pl
import pytest
import snapshot_fits
from stagekit.problems import StageError

from tests.workflow.snapshots import FORMATS, Stages, good
from tests.workflow.warm import Warm

# In 2040, as far as XlsxWriter knows, which notes when a workbook was made.
LATER = """
import datetime, xlsxwriter.core
class Kind(type):
    def __instancecheck__(cls, value):
        return isinstance(value, datetime.datetime)
class Later(metaclass=Kind):
    now = staticmethod(lambda zone: datetime.datetime(2040, 1, 1, tzinfo=zone))
xlsxwriter.core.datetime = Later
"""


@pytest.fixture
def viewed(tmp_path: Path, snapshot_warm: Warm, filled_sqlite: Path) -> Stages:
    """Give the stages after view, of all versions."""
    stages = Stages(tmp_path, snapshot_warm, f"sqlite:///{filled_sqlite}")
    good(stages.view("--versions", "all"))
    return stages


def test_after_a_kill_the_formats_that_are_finished_are_kept(viewed: Stages) -> None:
    killed = "import os, snapshot_formats as f\n"
    killed += "f.CsvWide.close = lambda self: os.kill(os.getpid(), 9)"
    assert viewed.write("parquet", "csv_wide", "csv", patch=killed).returncode == -9
    assert not (viewed.results / "data").exists()
    (kept,) = (viewed.folder / "formats" / "parquet").rglob("*.parquet")
    number = kept.stat().st_ino
    said = good(viewed.write("parquet", "csv_wide", "csv"))
    assert "parquet is written already" in said
    assert (viewed.results / "data" / "parquet" / kept.name).stat().st_ino == number
    assert sorted(path.name for path in (viewed.results / "data").iterdir()) == [
        "csv", "csv_wide", "parquet",
    ]  # fmt: skip
    left = [path for path in viewed.folder.rglob(".*") if path.name != ".error.json"]
    assert left == []
    good(viewed.bundle())


def test_of_a_view_that_was_killed_nothing_is_left_when_it_is_read_again(viewed: Stages) -> None:
    killed = "import os, snapshot_facts as f\nf.Counts.add = lambda *_: os.kill(os.getpid(), 9)"
    assert viewed.view(patch=killed).returncode == -9
    assert len(list(viewed.folder.glob(".view.*"))) == 1
    good(viewed.view())
    assert list(viewed.folder.glob(".view.*")) == []


def test_formats_of_another_view_are_written_again(viewed: Stages) -> None:
    failing = "import snapshot_formats as f\ndef fail(*_): raise RuntimeError\nf.Csv.close = fail"
    assert viewed.write("parquet", "csv", patch=failing).returncode == 1
    good(viewed.view("--filters", '{"region": "World"}'))
    assert "written already" not in good(viewed.write("parquet", "csv"))
    table = pl.read_parquet(viewed.results / "data" / "parquet" / "timeseries.parquet")
    assert table["region"].unique().to_list() == ["World"]


def test_files_per_scenario_have_safe_names_and_the_manifest_has_the_full_ones(
    viewed: Stages,
) -> None:
    good(viewed.write("csv_wide", "xlsx", "duckdb", split_by="scenario"))
    good(viewed.bundle())
    files = [file for file in viewed.manifest["files"] if file.get("format") == "csv_wide"]
    wide = [file for file in files if "-datetime" not in file["path"]]
    found = {(file["model"], file["scenario"]): Path(file["path"]).name for file in wide}
    assert found == {
        ("m a", "s1"): "m_a_s1.csv", ("m a", "s2"): "m_a_s2.csv", ("m b", "s1"): "m_b_s1.csv",
        ("m/a?", "s 3"): "m_a__s_3.csv", ("m_a_", "s 3"): "m_a__s_3-2.csv",
    }  # fmt: skip
    for (model, scenario), name in found.items():
        table = pl.read_csv(viewed.results / "data" / "csv_wide" / name)
        assert table.select("Model", "Scenario").unique().rows() == [(model, scenario)]
        years = [column for column in table.columns if column.isdigit()]
        assert all(table[year].count() for year in years), "a year that it does not have"
    assert len([f for f in viewed.manifest["files"] if f.get("format") == "duckdb"]) == 1
    book = openpyxl.load_workbook(viewed.results / "data" / "xlsx" / "m_a_s2.xlsx")
    assert book.sheetnames == ["data", "data_datetime", "meta"]
    assert [row[1].value for row in book["meta"].iter_rows(min_row=2)] == ["s2"]


def test_the_manifest_says_what_is_there_and_the_zip_has_it(viewed: Stages) -> None:
    good(viewed.write(*FORMATS))
    good(viewed.bundle())
    manifest = viewed.manifest
    assert manifest["datapoints"] == sum(manifest["types"].values())
    assert manifest["datapoints"] == sum(run["datapoints"] for run in manifest["runs"])
    assert manifest["platform"]["kind"] == "sqlite"
    for file in manifest["files"]:
        content = (viewed.results / file["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (
            file["bytes"], file["sha256"],
        )  # fmt: skip
    rows = {file["format"]: file["rows"] for file in manifest["files"] if "format" in file}
    assert rows["parquet"] == rows["csv"] == rows["duckdb"] == manifest["datapoints"]
    with zipfile.ZipFile(viewed.results / "snapshot.zip") as archive:
        assert archive.testzip() is None
        names = [file["path"] for file in manifest["files"]]
        assert archive.namelist() == [*names, "manifest.json"]
        for name in archive.namelist():
            assert archive.read(name) == (viewed.results / name).read_bytes()
    once = (viewed.results / "snapshot.zip").read_bytes()
    good(viewed.bundle(patch=LATER))
    assert (viewed.results / "snapshot.zip").read_bytes() == once


def test_indicators_keep_their_types_and_text_is_no_formula(viewed: Stages) -> None:
    good(viewed.write("csv"))
    good(viewed.bundle())
    book = openpyxl.load_workbook(viewed.results / "meta.xlsx")
    header, *rows = book["meta"].iter_rows()
    names = [cell.value for cell in header]
    assert names == ["model", "scenario", "version", "Category", "n", "ok", "x"]
    kinds = {tuple(cell.data_type for cell in row[2:]) for row in rows}
    assert kinds == {("n", "s", "n", "b", "n")}
    found = {row[3].value: row[6].value for row in rows}
    assert found == {f"=C{number}": number / 3 for number in range(6)}
    units = [row[0].value for row in book["units"].iter_rows()]
    assert "unused" in units
    assert "=R5|OECD & Co" in [row[0].value for row in book["regions"].iter_rows()]


def _tables(series: int) -> Any:
    run = pl.int_range(0, series, eager=True, dtype=pl.Int32) % 2
    table = pl.DataFrame({"id": pl.int_range(0, series, eager=True), "run": run})
    runs = pl.DataFrame({"model": ["m", "n"], "scenario": ["s", "s"]})
    return SimpleNamespace(series=table, runs=runs)


def test_a_workbook_that_cannot_hold_the_rows_is_refused_before_any_are_read() -> None:
    parts = pl.DataFrame({"id": [0, 2], "more": [3, 1]})
    source: Any = SimpleNamespace(table=lambda *_: parts)
    fits = snapshot_fits.must_fit
    fits(["csv"], "none", source, _tables(3_000_000))
    fits(["xlsx"], "none", source, _tables(1_048_575 - 4))
    with pytest.raises(
        StageError, match=r"1,048,576 rows; a sheet has room for 1,048,575"
    ) as found:
        fits(["xlsx"], "none", source, _tables(1_048_575 - 3))
    assert found.value.code == "too_large_for_xlsx"
    fits(["xlsx"], "model", source, _tables(2_000_000))
    with pytest.raises(StageError, match=r"- m: 1,200,004 rows"):
        fits(["xlsx"], "model", source, _tables(2_400_000))
    with pytest.raises(StageError, match=r"16,385 columns"):
        snapshot_fits.check_columns(16_385, "all data")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB; mounting one needs root."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a small file system can only be mounted by root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_is_one_clear_error_and_nothing_is_left(
    name: str, viewed: Stages, small_disk: Path
) -> None:
    with (small_disk / "ballast").open("wb") as stream:
        stream.write(b"x" * 60 * 1024)  # one page is left
    viewed.folder.joinpath("formats").symlink_to(small_disk)
    answer = viewed.write(name)
    assert answer.returncode == 1, answer.stdout
    assert viewed.error["code"] == "disk_full", answer.stderr
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]
    assert not (viewed.results / "data").exists()


def test_a_full_disk_stops_the_view_as_well(viewed: Stages, small_disk: Path) -> None:
    with (small_disk / "ballast").open("wb") as stream:
        stream.write(b"x" * 60 * 1024)
    answer = viewed.run("view", "--output", small_disk / "view", "--problems", viewed.results)
    assert answer.returncode == 1
    assert json.loads((viewed.folder / "error.json").read_text())["code"] == "disk_full"
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]
