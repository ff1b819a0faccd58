"""Folders as tars: nothing is lost on the way, and nothing goes where it must not."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from runner.archive import BrokenArchive, Changed, members, pack, unpack
from runner.errors import UnsafePath


def _packed(root: Path) -> bytes:
    return b"".join(pack(members(root), "job"))


def _tar(*found: tarfile.TarInfo) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for info in found:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    stream.seek(0)
    return stream


def _info(name: str, kind: bytes = tarfile.REGTYPE, leads: str = "", size: int = 0) -> object:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, leads, size
    return info


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "work" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "work" / "deep" / "data").write_bytes(os.urandom(700_000))
    (root / ("a name of 200 characters".ljust(200, "x"))).write_text("long")
    (root / "ünïcode ★").write_text("ü")
    (root / "run.sh").write_text("true\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("work/deep/data")
    for number, path in enumerate(sorted(root.rglob("*"))):
        moment = 1_700_000_000_123_456_789 + number
        os.utime(path, ns=(moment, moment), follow_symlinks=False)
    return root


def test_contents_names_modes_links_and_times_to_the_nanosecond_come_through(
    folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    unpack(io.BytesIO(_packed(folder)), target, "job")
    sources = sorted(folder.rglob("*"))
    assert len(sources) == 8
    assert [p.relative_to(target) for p in sorted(target.rglob("*"))] == [
        p.relative_to(folder) for p in sources
    ]
    for source in sources:
        found = target / source.relative_to(folder)
        assert found.lstat().st_mtime_ns == source.lstat().st_mtime_ns, source
        assert found.lstat().st_mode == source.lstat().st_mode
        if source.is_file():
            assert found.read_bytes() == source.read_bytes()
    assert os.readlink(target / "link") == "work/deep/data"


def test_what_is_no_file_or_leads_out_is_left_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    (folder / "absolute").symlink_to(folder / "run.sh")
    (folder / "out").symlink_to("../outside")
    (folder / "ring").symlink_to("ring")
    os.mkfifo(folder / "fifo")
    names = {member.name for member in members(folder, lambda name: name != "work")}
    assert names.isdisjoint({"absolute", "out", "ring", "fifo", "work", "work/deep/data"})
    assert {"run.sh", "empty"} <= names


def test_a_file_that_becomes_shorter_while_it_is_packed_breaks_the_tar_off(folder: Path) -> None:
    stream = pack(members(folder), "job")
    while len(next(stream)) < 100_000:
        pass
    os.truncate(folder / "work" / "deep" / "data", 10)
    with pytest.raises(Changed):
        list(stream)


@pytest.mark.parametrize("cut", [0, 100, 600, 5_000, 400_000])
def test_a_tar_that_ends_too_early_is_refused(folder: Path, tmp_path: Path, cut: int) -> None:
    with pytest.raises(BrokenArchive):
        unpack(io.BytesIO(_packed(folder)[:cut]), tmp_path / "target", "job")


def test_a_tar_that_ends_between_two_files_is_refused(folder: Path, tmp_path: Path) -> None:
    whole = _packed(folder)
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        begins = [info.offset for info in archive][1:]
    for number, cut in enumerate([*begins, len(whole) - 1024, len(whole) - 1]):
        with pytest.raises(BrokenArchive):
            unpack(io.BytesIO(whole[:cut]), tmp_path / f"target-{number}", "job")


@pytest.mark.parametrize(
    "found",
    [
        [_info("job/../outside")],
        [_info("/outside")],
        [_info("job/a/../../outside")],
        [_info("other/file")],
        [_info("job")],
        [_info("job/device", tarfile.CHRTYPE)],
        [_info("job/fifo", tarfile.FIFOTYPE)],
        [_info("job/hard", tarfile.LNKTYPE, "../../outside")],
        [_info("job/link", tarfile.SYMTYPE, "/etc")],
        [_info("job/link", tarfile.SYMTYPE, "../outside")],
        [_info("job/link", tarfile.SYMTYPE, "."), _info("job/link/file")],
        [_info("job/link", tarfile.SYMTYPE, ".."), _info("job/link/outside")],
        # the second link stays in the folder as it is written, and leads out through the first
        [
            _info("job/a/b/c", tarfile.SYMTYPE, "../.."),
            _info("job/d", tarfile.SYMTYPE, "a/b/c/../outside"),
        ],
    ],
)
def test_no_tar_writes_or_leads_outside(tmp_path: Path, found: list[tarfile.TarInfo]) -> None:
    with pytest.raises(UnsafePath):
        unpack(_tar(*found), tmp_path / "target", "job")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_no_file_is_written_over_another_or_over_a_link(tmp_path: Path) -> None:
    for first in (_info("job/f", size=3), _info("job/f", tarfile.SYMTYPE, "g")):
        with pytest.raises(FileExistsError):
            unpack(_tar(first, _info("job/f", size=1)), tmp_path / first.linkname / "t", "job")
