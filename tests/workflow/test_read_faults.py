"""Each file that cannot be read gives one clear error, and nothing is written."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xlwt

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
