"""Write files as submitters do, and run the stages read and check on them in process."""

from __future__ import annotations

import csv
import gzip
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import check
import openpyxl
import polars as pl
import read
from stagekit.problems import StageError

HEADER = ("Model", "Scenario", "Region", "Variable", "Unit", 2020, 2030)
ROWS = (
    ("m", "s", "World", "Primary Energy", "EJ/yr", 1.5, 2),
    ("m", "s", "Asia", "Primary Energy", "EJ/yr", 0.5, None),
)
Rows = Iterable[Sequence[Any]]


@dataclass
class Read:
    """The outputs of stage read."""

    folder: Path

    @property
    def data(self) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "data.parquet")

    @property
    def meta(self) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "meta.parquet")

    @property
    def cells(self) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "cells.parquet")

    @property
    def source(self) -> dict[str, Any]:
        return json.loads((self.folder / "source.json").read_text(encoding="utf-8"))

    @property
    def values(self) -> list[float | None]:
        return self.data.sort("row", "year")["value"].to_list()


def run_read(file: Path, *options: str, work: Path | None = None) -> Read:
    """Run stage read on `file`."""
    folder = work or file.parent / "work"
    outputs = [f"--{key}={folder / name}" for key, name in _OUTPUTS.items()]
    read.main(read.parse([f"--input={file}", *outputs, *options]))
    return Read(folder)


_OUTPUTS = {
    "output": "data.parquet",
    "meta": "meta.parquet",
    "source": "source.json",
    "cells": "cells.parquet",
}


def refused(file: Path, *options: str) -> StageError:
    """Run stage read on a file that it must refuse; see that nothing at all is left behind."""
    folder = file.parent / "work"
    try:
        run_read(file, *options, work=folder)
    except StageError as error:
        assert not list(folder.iterdir()), "something was left behind"
        return error
    raise AssertionError(f"{file.name} was not refused")


def run_check(done: Read, *options: str) -> list[dict[str, Any]]:
    """Run stage check and give the problems it recorded; also when it fails."""
    inputs = {"input": "data.parquet", **{k: v for k, v in _OUTPUTS.items() if k != "output"}}
    paths = [f"--{key}={done.folder / name}" for key, name in inputs.items()]
    results, checked = done.folder / "results", done.folder / "checked.json"
    args = check.parse([*paths, f"--output={checked}", f"--problems={results}", *options])
    try:
        check.main(args)
        failed = False
    except StageError:
        failed = True
    found = json.loads((results / "problems.json").read_text(encoding="utf-8"))
    assert failed == any(problem["severity"] == "error" for problem in found)
    assert checked.exists() != failed
    return found


def check_error(done: Read, *options: str) -> StageError:
    """Run stage check where it must fail, and give its error."""
    names = ("input", "meta", "source", "cells")
    files = ("data.parquet", "meta.parquet", "source.json", "cells.parquet")
    paths = [f"--{n}={done.folder / f}" for n, f in zip(names, files, strict=True)]
    output = [f"--output={done.folder / 'checked.json'}", f"--problems={done.folder / 'results'}"]
    try:
        check.main(check.parse([*paths, *output, *options]))
    except StageError as error:
        return error
    raise AssertionError("check found no error")


def xlsx(path: Path, sheets: Mapping[str, Rows]) -> Path:
    """Write a workbook; texts that start with "=" stay texts unless they are `Formula`."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for r, row in enumerate(rows, start=1):
            for c, value in enumerate(row, start=1):
                cell = sheet.cell(r, c)
                cell.value = value
                if isinstance(value, str) and not isinstance(value, Formula):
                    cell.data_type = "s"
    book.save(path)
    return path


class Formula(str):
    """A text that is written as a formula, without a stored value."""

    __slots__ = ()


def data_xlsx(path: Path, rows: Rows = ROWS, header: Sequence[Any] = HEADER) -> Path:
    """Write a workbook with a data sheet only."""
    return xlsx(path, {"data": [header, *rows]})


def csv_text(rows: Rows, separator: str = ",") -> str:
    """Write rows as text."""
    lines: list[str] = []

    class _Sink:
        def write(self, text: str) -> None:
            lines.append(text)

    csv.writer(_Sink(), delimiter=separator).writerows(rows)
    return "".join(lines)


def data_csv(path: Path, rows: Rows = ROWS, header: Sequence[Any] = HEADER) -> Path:
    """Write a text file, compressed if it is called .gz."""
    content = csv_text([header, *rows]).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def zipped(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write an archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def codes(problems: Iterable[Mapping[str, Any]]) -> list[str]:
    """Give the codes of problems, sorted."""
    return sorted(problem["code"] for problem in problems)
