from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UnsafePath
from runner.files import atomic, copy_checksummed, inside, safe_filename, safe_label, sha256


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def fail_halfway() -> None:
        with atomic(target) as stream:
            stream.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_copy_beyond_the_limit_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OverflowError):
        copy_checksummed(io.BytesIO(b"x" * 11), tmp_path / "copy", limit=10)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_has_the_size_and_checksum_that_are_reported(tmp_path: Path) -> None:
    size, digest = copy_checksummed(io.BytesIO(b"abc" * 1_000_000), tmp_path / "copy", 3_000_000)
    assert (size, digest) == (3_000_000, sha256(tmp_path / "copy"))


@given(st.text(min_size=1, max_size=300))
def test_a_safe_file_name_is_one_harmless_component_or_refused(name: str) -> None:
    try:
        safe = safe_filename(name)
    except UnsafePath:
        return
    assert safe not in (".", "..")
    assert not set(safe) & set("/\\{}'\"$` \n*?[]:;&|<>()!#~")
    assert not safe.startswith(("-", "."))
    assert len(safe) <= 120


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "link/x", "link"])
def test_no_path_and_no_link_leads_out_of_the_directory(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(UnsafePath):
        inside(folder, path)


@pytest.mark.parametrize("label", ["", ".", "..", "a/b", "-x", "a b", "x" * 101, "a\n"])
def test_a_label_that_cannot_name_a_folder_is_refused(label: str) -> None:
    with pytest.raises(UnsafePath):
        safe_label(label, "Label")
