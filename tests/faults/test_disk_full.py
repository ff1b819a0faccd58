"""A real full disk: a home on a small file system of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.errors import DiskFull
from runner.prepared import Prepared
from runner.state import JobState

from .conftest import finish
from .disks import mounted


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB: there is room for the shipped release, and for little else."""
    with mounted(tmp_path / "small", "8m") as folder:
        yield folder


def test_a_full_disk_is_one_clear_error_and_the_job_continues_when_there_is_room(
    import_job: Callable[..., Prepared], small_disk: Path, shared_data: Path
) -> None:
    prepared = import_job(small_disk / "home", shared_data / "pyam_tutorial_data.csv")
    ballast = small_disk / "ballast"
    with ballast.open("wb") as stream:
        free = os.statvfs(small_disk)
        stream.write(b"x" * (free.f_bavail * free.f_frsize - 200_000))
    assert prepared.start(prepared.options(until="read")).wait() == "failed"
    error = JobState(prepared.job_type, prepared.job.events.read()).error
    assert error is not None
    assert error["code"] == "disk_full", error
    assert "Free some space" in error["message"]
    assert not (prepared.job.path / "work" / "data.parquet").exists()
    ballast.unlink()
    finish(prepared, until="read")


def test_a_job_that_does_not_fit_on_the_disk_leaves_no_directory(
    import_job: Callable[..., Prepared], small_disk: Path, tmp_path: Path
) -> None:
    big = tmp_path / "big.csv"
    big.write_text("Model,Scenario,Region,Variable,Unit,2020\n" + "m,s,World,a,b,1\n" * 700_000)
    with pytest.raises(DiskFull, match="disk is full"):
        import_job(small_disk / "home", big)
    left = [path for path in (small_disk / "home" / "jobs").rglob("*") if path.is_file()]
    assert left == []
