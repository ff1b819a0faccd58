"""Each file that cannot be read gives one clear error, and nothing is written."""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import read
import xlwt
from reading import bounded, parquet

from .submitting import (
    HEADER,
    ROWS,
    Formula,
    csv_text,
    data_csv,
    data_xlsx,
    refused,
    run_read,
    xlsx,
    zipped,
)

CSV = csv_text([HEADER, *ROWS]).encode()


def raw(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def archive(name: str, **members: bytes) -> Callable[[Path], Path]:
    return lambda folder: zipped(folder / name, members)


def truncated(folder: Path) -> Path:
    file = data_xlsx(folder / "x.xlsx")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 2 // 3])
    return file


def flipped(folder: Path) -> Path:
    file = data_xlsx(folder / "x.xlsx")
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as book:
        member = book.getinfo("xl/worksheets/sheet1.xml")
    content[member.header_offset + 30 + len(member.filename) + 40] ^= 0xFF
    file.write_bytes(bytes(content))
    return file


def encrypted_xlsx(folder: Path) -> Path:
    book = xlwt.Workbook()
    book.add_sheet("EncryptedPackage")
    book.save(str(folder / "x.xls"))
    name = "EncryptedPackage".encode("utf-16-le")
    content = (folder / "x.xls").read_bytes()
    (folder / "x.xls").unlink()
    return raw("x.xlsx", content + name)(folder)


def encrypted_zip(folder: Path) -> Path:
    file = zipped(folder / "x.zip", {"x.csv": CSV})
    content = bytearray(file.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    file.write_bytes(bytes(content))
    return file


def link_in_zip(folder: Path) -> Path:
    member = zipfile.ZipInfo("x.csv")
    member.external_attr = 0o120777 << 16
    with zipfile.ZipFile(folder / "x.zip", "w") as target:
        target.writestr(member, "/etc/passwd")
    return folder / "x.zip"


def old_xls(folder: Path) -> Path:
    return raw("x.xls", b"\x09\x04\x06\x00\x00\x00\x10\x00" + bytes(100))(folder)


def rows_csv(text: str) -> Callable[[Path], Path]:
    return raw("x.csv", text.encode())


def sheets(**content: list[Any]) -> Callable[[Path], Path]:
    return lambda folder: xlsx(folder / "x.xlsx", content)


DATA = [HEADER, *ROWS]
HEAD = "model,scenario,region,variable,unit,2020\n"

FAULTS: dict[str, tuple[Callable[[Path], Path], str, list[str]]] = {
    "empty file": (raw("x.xlsx", b""), "empty_file", ["0 bytes"]),
    "text called xlsx": (raw("x.xlsx", CSV), "not_a_workbook", [".xlsx", "plain text"]),
    "text called parquet": (raw("x.parquet", CSV), "not_a_workbook", [".parquet"]),
    "picture": (raw("x.csv", b"\x89PNG\r\n\x1a\n\0\0\0"), "not_a_workbook", []),
    "pdf": (raw("x.xlsx", b"%PDF-1.7 ..."), "not_a_workbook", []),
    "html called xls": (raw("x.xls", b"<html><table>"), "not_a_workbook", ["web page"]),
    "archive called xlsx": (archive("x.xlsx", a=b"1"), "not_a_workbook", ["archive"]),
    "word document": (
        archive("x.xlsx", **{"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"}),
        "not_a_workbook",
        ["without sheets"],
    ),
    "binary workbook": (
        archive("x.xlsb", **{"[Content_Types].xml": b"<x/>", "xl/workbook.bin": b"x"}),
        "not_a_workbook",
        [".xlsb"],
    ),
    "opendocument": (
        archive("x.ods", mimetype=b"application/vnd.oasis.opendocument.spreadsheet"),
        "not_a_workbook",
        ["opendocument"],
    ),
    "old excel": (old_xls, "too_old", ["Excel 4"]),
    "truncated xlsx": (truncated, "damaged_file", ["cut short"]),
    "changed byte": (flipped, "damaged_file", []),
    "ole garbage": (
        raw("x.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"W\0o\0r\0k\0b\0o\0o\0k\0" * 99),
        "damaged_file",
        [],
    ),
    "truncated gzip": (raw("x.csv.gz", gzip.compress(CSV)[:-9]), "damaged_file", ["end"]),
    "broken gzip": (raw("x.csv.gz", b"\x1f\x8b\x08\0" + b"x" * 50), "damaged_file", []),
    "broken parquet": (raw("x.parquet", b"PAR1 garbage PAR1"), "damaged_file", []),
    "encrypted xlsx": (encrypted_xlsx, "encrypted_file", ["password"]),
    "encrypted zip": (encrypted_zip, "encrypted_file", ["password"]),
    "empty zip": (archive("x.zip"), "empty_archive", []),
    "two files": (
        archive("x.zip", **{"a.csv": CSV, "b.csv": CSV}),
        "several_files",
        ["a.csv, b.csv"],
    ),
    "zip in zip": (
        archive("x.zip", **{"y.zip": b"PK\x05\x06" + bytes(18)}),
        "nested_archive",
        ["y.zip"],
    ),
    "gzip in gzip": (raw("x.csv.gz", gzip.compress(gzip.compress(CSV))), "nested_archive", []),
    "path upwards": (archive("x.zip", **{"../x.csv": CSV}), "unsafe_archive", ["../x.csv"]),
    "absolute path": (archive("x.zip", **{"/x.csv": CSV}), "unsafe_archive", []),
    "backslashes": (archive("x.zip", **{"a\\..\\..\\x.csv": CSV}), "unsafe_archive", []),
    "drive": (archive("x.zip", **{"C:/x.csv": CSV}), "unsafe_archive", []),
    "link": (link_in_zip, "unsafe_archive", ["link"]),
    "no data sheet": (
        sheets(first=[["a"]], second=[["b"]]),
        "no_data_sheet",
        ["'first', 'second'"],
    ),
    "two data sheets": (
        sheets(data_a=DATA, data_b=DATA),
        "several_data_sheets",
        ["'data_a', 'data_b'"],
    ),
    "two iamc sheets": (sheets(a=DATA, b=DATA, c=[["x"]]), "several_data_sheets", ["'a', 'b'"]),
    "empty sheet": (sheets(data=[]), "no_data", []),
    "header only": (sheets(data=[HEADER]), "no_data", ["template"]),
    "blank csv": (rows_csv("\n \n"), "no_data", []),
    "csv header only": (rows_csv(HEAD), "no_data", []),
    "missing columns": (
        sheets(data=[("Model", "Region", "Variable", 2020), ("m", "r", "v", 1)]),
        "missing_columns",
        ["scenario, unit", "'data'", "Model, Region, Variable, 2020"],
    ),
    "no years": (rows_csv("model,scenario,region,variable,unit,x\n"), "wrong_time_columns", []),
    "years and dates": (
        rows_csv("model,scenario,region,variable,unit,2020,2030-01-01\nm,s,r,v,u,1,2\n"),
        "wrong_time_columns",
        ["mixes"],
    ),
    "doubled year": (
        rows_csv("model,scenario,region,variable,unit,2020,2020.0\nm,s,r,v,u,1,2\n"),
        "doubled_columns",
        ["F and G"],
    ),
    "doubled in other case": (
        rows_csv("model,scenario,region,variable,unit,2020,REGION\nm,s,r,v,u,1,2\n"),
        "doubled_columns",
        ["C and G"],
    ),
    "latin-1": (
        raw("x.csv", HEAD.encode() + b"m,s,\xd6sterreich,v,u,1\n"),
        "wrong_encoding",
        ["line 2"],
    ),
    "cut utf-8": (raw("x.csv", HEAD.encode() + b"m,s,r,v,u,1\xc3"), "wrong_encoding", ["line 2"]),
    "too many cells": (rows_csv(HEAD + "m,s,r,v,u,1\n\nm,s,r,a,b,u,1\n"), "broken_csv", ["row 4"]),
    "open quote": (rows_csv(HEAD + 'm,s,r,v,u,1\nm,s,"r,v,u,1\n'), "broken_csv", ["row 2"]),
    "formula": (
        sheets(data=[HEADER, ("m", "s", "r", "v", "u", 1, Formula("=F2*2"))]),
        "formula_without_value",
        ["'data'", "row 2", "column G", "=F2*2"],
    ),
    "formula in a name": (
        sheets(data=[HEADER, ("m", Formula("=A2"), "r", "v", "u", 1, 2)]),
        "formula_without_value",
        ["row 2", "column B"],
    ),
    "formula in meta": (
        sheets(data=DATA, meta=[("Model", "Scenario", "x"), ("m", "s", Formula("=1"))]),
        "formula_without_value",
        ["'meta'", "column C"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path, fault: str) -> None:
    write, code, texts = FAULTS[fault]
    file = write(tmp_path)
    error = refused(file)
    assert error.code == code, error.message
    assert all(text in error.message for text in [file.name.split(".")[0], *texts]), error.message


def test_a_sheet_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = refused(data_xlsx(tmp_path / "x.xlsx"), "--sheet=results")
    assert error.code == "unknown_sheet"
    assert "'results'" in error.message
    assert "'data'" in error.message
    assert refused(data_csv(tmp_path / "x.csv"), "--sheet=results").code == "unknown_sheet"


def test_a_formula_with_an_empty_text_as_value_is_an_empty_cell(tmp_path: Path) -> None:
    file = data_xlsx(tmp_path / "x.xlsx", [("m", "s", "r", "v", "u", 1, Formula('=""'))])
    content = {n: zipfile.ZipFile(file).read(n) for n in zipfile.ZipFile(file).namelist()}
    sheet = content["xl/worksheets/sheet1.xml"]
    content["xl/worksheets/sheet1.xml"] = sheet.replace(b'<c r="G2">', b'<c r="G2" t="str">')
    assert content["xl/worksheets/sheet1.xml"] != sheet
    assert run_read(zipped(file, content)).values == [1.0]


@pytest.mark.parametrize("kind", ["zip", "xlsx", "gz"])
def test_a_bomb_is_refused_before_it_fills_memory_or_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(bounded, "FREE", 1 << 20)
    zeros = bytes(64 << 20)
    if kind == "gz":
        file = tmp_path / "x.csv.gz"
        file.write_bytes(gzip.compress(zeros))
    elif kind == "zip":
        file = zipped(tmp_path / "x.zip", {"x.csv": zeros})
    else:
        file = data_xlsx(tmp_path / "x.xlsx")
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as book:
            book.writestr("xl/media/image.png", zeros)
    used: list[int] = []
    take = bounded.Budget.take

    def watched(budget: bounded.Budget, count: int) -> None:
        used.append(count)
        take(budget, count)

    monkeypatch.setattr(bounded.Budget, "take", watched)
    assert refused(file).code == "archive_bomb"
    assert sum(used) < 40 << 20


def test_a_bomb_that_declares_a_small_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header says 10 bytes with the right checksum of those; 64 MB come out."""
    monkeypatch.setattr(bounded, "FREE", 1 << 20)
    file = zipped(tmp_path / "x.zip", {"x.csv": bytes(64 << 20)})
    content = bytearray(file.read_bytes())
    small = zlib.crc32(bytes(10)).to_bytes(4, "little"), (10).to_bytes(4, "little")
    for mark, crc, size in ((b"PK\x03\x04", 14, 22), (b"PK\x01\x02", 16, 24)):
        at = content.index(mark)
        content[at + crc : at + crc + 4], content[at + size : at + size + 4] = small
    file.write_bytes(bytes(content))
    assert len(zipfile.ZipFile(file).read("x.csv")) == 10  # zipfile itself is content
    assert refused(file).code == "archive_bomb"


def test_a_workbook_with_entities_is_refused(tmp_path: Path) -> None:
    file = data_xlsx(tmp_path / "x.xlsx")
    content = {n: zipfile.ZipFile(file).read(n) for n in zipfile.ZipFile(file).namelist()}
    content["xl/workbook.xml"] = b'<!DOCTYPE x [<!ENTITY a "aa">]>' + content["xl/workbook.xml"]
    assert refused(zipped(file, content)).code == "damaged_file"


def test_a_parquet_file_of_endless_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import polars as pl

    monkeypatch.setattr(parquet, "MAX_CELLS", 10)
    frame = pl.DataFrame([ROWS[0]] * 9, schema=[str(h) for h in HEADER], orient="row")
    frame.write_parquet(tmp_path / "x.parquet")
    assert refused(tmp_path / "x.parquet").code == "archive_bomb"


def run_script(file: Path, *, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    work = file.parent / "work"
    names = {
        "output": "data.parquet",
        "meta": "m.parquet",
        "cells": "c.parquet",
        "source": "s.json",
    }
    options = [f"--{key}={work / name}" for key, name in names.items()]
    error = file.parent / "error.json"

    def bound() -> None:
        import signal

        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, read.__file__, f"--input={file}", *options, f"--error={error}"]
    return subprocess.run(command, capture_output=True, text=True, preexec_fn=bound, check=False)


def test_as_a_program_it_says_what_was_wrong_and_exits_with_1(tmp_path: Path) -> None:
    done = run_script(raw("x.xlsx", CSV)(tmp_path))
    assert done.returncode == 1
    assert "ERROR not_a_workbook" in done.stderr
    assert "Traceback" not in done.stderr
    assert '"code": "not_a_workbook"' in (tmp_path / "error.json").read_text()


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    rows = [("m", "s", f"region {i}", "v", "u", i / 7, i / 3) for i in range(3000)]
    file = data_csv(tmp_path / "x.csv", rows)
    done = run_script(file, limit=4096)
    assert done.returncode == 1
    assert "ERROR io_error" in done.stderr
    assert "too large" in done.stderr.lower()
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_one_clear_error_and_nothing_is_left_behind(tmp_path: Path) -> None:
    rows = [("m", "s", f"region {i}", "v", "u", i / 7, i / 3) for i in range(20000)]
    content = csv_text([HEADER, *rows]).encode()
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={len(content) // 4096 * 4096 + 65536}", "tmpfs"]
    mounted = subprocess.run([*mount, str(disk)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted: {mounted.stderr.strip()}")
    try:
        (disk / "x.csv").write_bytes(content)
        done = run_script(disk / "x.csv")
        assert done.returncode == 1
        assert "ERROR disk_full: The disk is full" in done.stderr
        assert list((disk / "work").iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)
