"""A table of indicators is read from any file with its types, or refused with every reason."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from stagekit import tables
from stagekit.problems import Problem, StageError

from tests.workflow.meta_case import MetaJob, refused
from tests.workflow.submitting import xlsx, zipped

HEADER = ["Model", "SCENARIO", "Version", "whole", "number", "yes", "text", "digits"]
ROWS = [
    ["A", "one", 2, 1, 0.1, True, "a, b", "007"],
    ["A", "two", None, 2, 2.5, False, None, "12"],
]
WANTED = {
    (2, "whole"): 1, (2, "number"): 0.1, (2, "yes"): True, (2, "text"): "a, b",
    (2, "digits"): "007", (3, "whole"): 2, (3, "number"): 2.5, (3, "yes"): False,
    (3, "digits"): "12",
}  # fmt: skip
KINDS = ["xlsx", "csv", "csv.gz", "parquet", "zip", "json", "semicolons"]


@pytest.fixture
def job(tmp_path: Path) -> MetaJob:
    """Give a job whose stage read runs in process."""
    return MetaJob(tmp_path, None, "")  # type: ignore[arg-type]


def _text(separator: str = ",") -> bytes:
    shown = {True: "true", False: "false"}
    lines = [
        separator.join(
            f'"{shown[cell] if isinstance(cell, bool) else cell}"' if cell is not None else ""
            for cell in row
        )
        for row in [HEADER, *ROWS]
    ]
    return "\n".join(lines).encode()


def _file(folder: Path, kind: str) -> Path:
    path = folder / f"meta.{'csv' if kind == 'semicolons' else kind}"
    if kind == "xlsx":
        return xlsx(path, {"Meta": [HEADER, *ROWS], "notes": [["nothing"]]})
    if kind == "zip":
        return zipped(path, {"folder/meta.csv": _text()})
    if kind == "parquet":
        pl.DataFrame(ROWS, schema=HEADER, orient="row").write_parquet(path)
    elif kind == "json":
        path.write_text(json.dumps([dict(zip(HEADER, row, strict=True)) for row in ROWS]))
    elif kind == "csv.gz":
        path.write_bytes(gzip.compress(_text()))
    else:
        path.write_bytes(_text(";" if kind == "semicolons" else ","))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same(job: MetaJob, tmp_path: Path, kind: str) -> None:
    job.read(_file(tmp_path, kind))
    first = -1 if kind == "json" else 0  # records count from 1
    assert job.rows == [("A", "one", "2"), ("A", "two", None)]
    wanted = {(row + first, key): value for (row, key), value in WANTED.items()}
    assert job.values == wanted
    assert {k: type(v) for k, v in job.values.items()} == {k: type(v) for k, v in wanted.items()}
    assert job.problems == []


def test_a_csv_file_tells_whole_numbers_from_others(job: MetaJob, tmp_path: Path) -> None:
    rows = [["model", "scenario", "a", "b", "c", "d"], ["m", "s", "1", "1.0", "-3", "TRUE"],
            ["m", "t", "2", "2", "1e3", "false"]]  # fmt: skip
    (tmp_path / "x.csv").write_text("\n".join(",".join(row) for row in rows))
    job.read(tmp_path / "x.csv")
    shown = [repr(value) for (row, _), value in sorted(job.values.items()) if row == 2]
    assert shown == ["1", "1.0", "-3.0", "True"]
    assert repr(job.values[3, "b"]) == "2.0"


def test_a_mixed_column_is_text_with_a_warning(job: MetaJob, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("model,scenario,a\nm,s,1\nm,t,high\n")
    job.read(tmp_path / "x.csv")
    assert job.values == {(2, "a"): "1", (3, "a"): "high"}
    [warning] = job.problems
    assert (warning["code"], warning["column"]) == ("mixed_meta_types", "C")


def test_json_keeps_the_type_of_each_value(job: MetaJob, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"model": "m", "scenario": "s", "a": 1, "b": 1.0, "c": null}')
    job.read(tmp_path / "x.json")
    assert [repr(value) for value in job.values.values()] == ["1", "1.0"]
    job.records({"model": "m", "scenario": "s", "a": 1}, {"model": "m", "scenario": "t", "a": "x"})
    assert job.values == {(1, "a"): 1, (2, "a"): "x"}


def test_parquet_keeps_its_types(job: MetaJob, tmp_path: Path) -> None:
    frame = pl.DataFrame({"model": ["m"], "scenario": ["s"], "f": [1.0], "i": [1], "t": ["true"]})
    frame.write_parquet(tmp_path / "x.parquet")
    job.read(tmp_path / "x.parquet")
    assert [repr(value) for value in job.values.values()] == ["1.0", "1", "'true'"]


@pytest.mark.parametrize(
    ("sheets", "options", "code", "said"),
    [
        (["one", "two"], [], "no_meta_sheet", "'one', 'two'"),
        (["one", "Indicators"], ["--sheet=Indicator"], "unknown_sheet", "mean 'Indicators'?"),
    ],
)
def test_a_sheet_that_is_not_clear_is_asked_for(
    tmp_path: Path, sheets: list[str], options: list[str], code: str, said: str
) -> None:
    file = xlsx(tmp_path / "x.xlsx", {name: [HEADER, *ROWS] for name in sheets})
    error = refused(file, *options)
    assert (error.code, said in error.message) == (code, True), error.message


def test_the_only_sheet_and_the_one_asked_for_are_taken(job: MetaJob, tmp_path: Path) -> None:
    job.read(xlsx(tmp_path / "x.xlsx", {"whatever": [HEADER, *ROWS]}))
    assert len(job.rows) == 2
    sheets = {"meta": [HEADER, *ROWS], "Other": [HEADER, ROWS[0]]}
    job.read(xlsx(tmp_path / "y.xlsx", sheets), "--sheet=other")
    assert (len(job.rows), job.source["sheet"]) == (1, "Other")


IAMC = [["Model", "Scenario", "Region", "Variable", "Unit", 2020], ["A", "one", "W", "v", "EJ", 1]]


@pytest.mark.parametrize("kind", ["xlsx", "csv", "parquet"])
def test_timeseries_are_no_indicators(job: MetaJob, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"x.{kind}"
    if kind == "xlsx":
        xlsx(file, {"Sheet1": IAMC})
    elif kind == "csv":
        file.write_text("\n".join(",".join(map(str, row)) for row in IAMC))
    else:
        pl.DataFrame(IAMC[1:], schema=[str(c) for c in IAMC[0]], orient="row").write_parquet(file)
    assert refused(file).code == "timeseries_instead"
    job.read(file, "--optional")
    assert (job.rows, [p["code"] for p in job.problems]) == ([], ["no_indicators"])


def test_what_is_wrong_with_an_optional_meta_sheet_is_said_all_the_same(
    job: MetaJob, tmp_path: Path
) -> None:
    file = xlsx(tmp_path / "x.xlsx", {"data": IAMC, "meta": [["Scenario", "n"], ["s", 1]]})
    with pytest.raises(StageError, match="no column model"):
        job.read(file, "--optional")


def _wrong_files(folder: Path) -> Iterator[tuple[Path, str]]:
    good = _file(folder, "xlsx").read_bytes()
    contents = {
        "empty.xlsx": (b"", "empty_file"),
        "cut.xlsx": (good[: len(good) // 2], "damaged_file"),
        "page.csv": (b"<html><body>Please log in</body></html>", "not_a_workbook"),
        "paper.pdf": (b"%PDF-1.7 ...", "not_a_workbook"),
        "header.csv": (b"model,scenario,n\n", "no_data"),
        "blank.csv": (b"\n\n", "no_data"),
        "cut.json": (b'[{"model": "m",\n "scenario', "broken_json"),
        "list.json": (b"[1, 2]", "broken_json"),
        "nothing.json": (b"[]", "no_data"),
        "text.json": (b'"model"', "broken_json"),
        "latin.json": ('{"model": "Gr\xf6\xdfe"}'.encode("latin-1"), "broken_json"),
        "ragged.csv": (b"model,scenario,n\nm,s,1,2\n", "broken_csv"),
        "cut.parquet": (b"PAR1abc", "damaged_file"),
    }
    for name, (content, code) in contents.items():
        path = folder / name
        path.write_bytes(content)
        yield path, code


def test_a_file_that_is_no_table_is_one_clear_error(tmp_path: Path) -> None:
    for path, code in _wrong_files(tmp_path):
        error = refused(path)
        assert error.code == code, f"{path.name}: {error.code}: {error.message}"
        assert path.name in error.message
        if code == "not_a_workbook":
            assert "Accepted are xlsx, xls, csv, csv.gz, parquet, json, or a zip" in error.message


def _problems(job: MetaJob, file: Path, mode: str = "merge") -> list[dict[str, Any]]:
    """Give the problems for which a file is refused."""
    with pytest.raises(StageError) as caught:
        job.read(file, f"--mode={mode}")
    assert caught.value.code == "invalid_data"
    assert not (job.work / "rows.parquet").exists()
    assert [p.code for p in caught.value.problems] == [p["code"] for p in job.problems]
    return job.problems


def test_every_cell_that_cannot_be_stored_is_named(job: MetaJob, tmp_path: Path) -> None:
    header = ["model", "scenario", "version", "id", "k" * 1024, "long", "big", "nan", "x", "x", ""]
    rows = [
        ["A", "one", "1", 1, 1, "y" * 1024, 2**31, "nan", 1, 1, "lost"],
        ["", "one", 1, "", "", "", "", 1.5, 1, "", ""],
        ["A", "", "first", "", "", "", "", "", 1, "", ""],
        ["A", "two", "0", "", "", "", "", "", 1, "", ""],
        ["A", "one", "1", "", "", "", "", "", 1, "", ""],
    ]
    file = tmp_path / "x.csv"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    places = {(p["code"], p["row"], p["column"]) for p in _problems(job, file)}
    assert places == {
        ("illegal_meta_key", 1, "D"), ("illegal_meta_key", 1, "E"), ("illegal_meta_value", 2, "F"),
        ("illegal_meta_value", 2, "G"), ("illegal_meta_value", 2, "H"),
        ("doubled_meta_column", 1, "J"), ("unnamed_meta_column", 1, "K"),
        ("missing_name", 3, "A"), ("missing_name", 4, "B"), ("wrong_version", 4, "C"),
        ("wrong_version", 5, "C"), ("duplicate_meta", 2, None),
    }  # fmt: skip
    assert (job.results / "problems.csv").is_file()


def test_every_value_of_json_that_cannot_be_stored_is_named(job: MetaJob, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(
        '[{"model": "m", "scenario": "s", "list": [1], "object": {"a": {"b": 1}}, "nan": NaN,'
        ' "inf": -Infinity, "huge": 99999999999999999999, "half": "\\ud800", "nul": "a\\u0000b",'
        ' "twice": 1, "twice": 2, "is_default": true, "": 1},'
        ' {"model": 7, "scenario": "s"}, {"scenario": "s", "n": 1}]'
    )
    found = [(p["code"], p["row"], p["field"]) for p in _problems(job, file)]
    illegal = ["list", "object", "nan", "inf", "huge", "half", "nul"]
    assert sorted(found) == sorted([
        *(("illegal_meta_value", 1, name) for name in illegal),
        ("doubled_meta_column", 1, "twice"), ("illegal_meta_key", 1, "is_default"),
        ("illegal_meta_key", 1, ""), ("wrong_name", 2, "model"),
        ("wrong_meta_columns", 3, "model"),
    ])  # fmt: skip


def test_lists_and_infinities_in_parquet_are_named(job: MetaJob, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"model": ["m", "m"], "scenario": ["s", "t"], "l": [None, [1]], "f": [float("nan"), 1.0]}
    )
    frame.write_parquet(tmp_path / "x.parquet")
    found = _problems(job, tmp_path / "x.parquet")
    assert sorted((p["row"], p["column"]) for p in found) == [(2, "D"), (3, "C")]


def test_error_cells_and_wrong_columns_of_a_sheet_are_named(job: MetaJob, tmp_path: Path) -> None:
    file = xlsx(tmp_path / "x.xlsx", {"meta": [["Modell", "Scenario", "n"], ["A", "one", 1]]})
    [problem] = _problems(job, file)
    assert problem["code"] == "wrong_meta_columns"
    assert "no column model. Its columns are: Modell, Scenario, n" in problem["message"]


def test_what_is_to_be_removed_may_have_any_value_but_must_have_one(
    job: MetaJob, tmp_path: Path
) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"model": "m", "scenario": "s", "n": 2**40}))
    job.read(file, "--mode=remove")
    file.write_text(json.dumps({"model": "m", "scenario": "s", "n": None}))
    [problem] = _problems(job, file, "remove")
    assert problem["code"] == "no_data"


def test_a_full_disk_leaves_nothing(
    job: MetaJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, written = _file(tmp_path, "csv"), tables.whole
    count = iter(range(10))

    def full(path: Path) -> Any:
        if next(count) == 1:
            raise OSError(28, "No space left on device", str(path))
        return written(path)

    monkeypatch.setattr(tables, "whole", full)
    with pytest.raises(OSError, match="No space left"):
        job.read(file)
    assert [path for path in job.work.iterdir() if path.is_file()] == []


def test_problems_are_complete_documents(job: MetaJob, tmp_path: Path) -> None:
    file = xlsx(tmp_path / "x.xlsx", {"meta": [["Model", "Scenario", "id"], ["A", "one", 1]]})
    [found] = _problems(job, file)
    stage = found.pop("stage")
    problem = Problem(**found)
    assert (stage, problem.file, problem.sheet, problem.row) == ("read", "x.xlsx", "meta", 1)
