"""Bombs, endless files and full disks: one clear error each, and nothing is left behind."""

from __future__ import annotations

import gzip
import os
import resource
import signal
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import polars as pl
import pytest
import read
from readkit import bounded, parquet

from .submitting import HEADER, ROWS, csv_text, data_csv, data_xlsx, refused, run_read, zipped


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


@pytest.mark.parametrize(("field", "local", "central"), [("checksum", 14, 16), ("size", 22, 24)])
def test_a_member_that_is_not_as_declared_is_refused(
    tmp_path: Path, field: str, local: int, central: int
) -> None:
    file = zipped(tmp_path / "x.zip", {"x.csv": csv_text([HEADER, *ROWS]).encode()})
    content = bytearray(file.read_bytes())
    for mark, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        content[content.index(mark) + offset] ^= 1
    file.write_bytes(bytes(content))
    assert refused(file).code == "damaged_file", field


def test_an_output_that_cannot_be_written_takes_the_others_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(read, "write_json", full)
    with pytest.raises(OSError, match="No space"):
        run_read(data_csv(tmp_path / "x.csv"))
    assert list((tmp_path / "work").iterdir()) == []


def test_a_workbook_with_entities_is_refused(tmp_path: Path) -> None:
    file = data_xlsx(tmp_path / "x.xlsx")
    content = {n: zipfile.ZipFile(file).read(n) for n in zipfile.ZipFile(file).namelist()}
    content["xl/workbook.xml"] = b'<!DOCTYPE x [<!ENTITY a "aa">]>' + content["xl/workbook.xml"]
    assert refused(zipped(file, content)).code == "damaged_file"


def test_a_parquet_file_of_endless_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, read.__file__, f"--input={file}", *options, f"--error={error}"]
    return subprocess.run(command, capture_output=True, text=True, preexec_fn=bound, check=False)


def test_as_a_program_it_says_what_was_wrong_and_exits_with_1(tmp_path: Path) -> None:
    (tmp_path / "x.xlsx").write_text(csv_text([HEADER, *ROWS]))
    done = run_script(tmp_path / "x.xlsx")
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


def test_what_a_killed_attempt_left_behind_is_removed(tmp_path: Path) -> None:
    (tmp_path / "work" / ".reading-abc").mkdir(parents=True)
    (tmp_path / "work" / ".reading-abc" / "content").write_text("half")
    done = run_read(data_csv(tmp_path / "x.csv.gz"))
    assert len(list(done.folder.iterdir())) == 4
