"""A disk that gets low, and full: work files of the oldest succeeded jobs make room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.retention import KINDS
from tests.webapp.retained import job, kept, notes, path_of, told
from tests.webapp.worlds import make_home, open_service, row
from webapp import jobs, retention
from webapp.retention import disk
from webapp.service import Service

from .disks import mounted

_MB = 1_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 20 MB."""
    with mounted(tmp_path / "small", "20m") as folder:
        yield folder


@pytest.fixture
def service(small_disk: Path, new_database_url: Callable[..., str]) -> Service:
    """A service with its home on the small disk; 5 MB are to be free on it."""
    home = make_home(small_disk / "home")
    given = {"disk_low": 5 * _MB, "disk_reserve": _MB}
    return open_service(home.path, new_database_url("sqlite"), **given)


def _big(service: Service, hours: float, status: str = "succeeded", **given: bool) -> str:
    """Give the id of a job with work files of 2 MB."""
    job_id = job(service, hours, status, **given)
    (path_of(service, job_id) / "work" / "a.txt").write_bytes(b"x" * 2 * _MB)
    return job_id


def _fill(service: Service, left: int) -> Path:
    """Leave so many bytes free."""
    ballast = service.home.path / "ballast"
    with ballast.open("wb") as stream:
        stream.write(b"x" * max(0, disk.free(service) - left))
    return ballast


def test_work_files_of_the_oldest_succeeded_jobs_go_until_there_is_room(service: Service) -> None:
    ids = {
        "pinned": _big(service, 9, pinned=True),
        "failed": _big(service, 8, "failed"),
        "oldest": _big(service, 7),
        "second": _big(service, 6),
        "young": _big(service, 5),
    }
    _fill(service, int(1.5 * _MB))
    report = retention.Sweeper(service).sweep()
    assert (report.jobs, report.low) == (2, False)
    assert {name for name, job_id in ids.items() if "work" in kept(service, job_id)} == {
        "pinned",
        "failed",
        "young",
    }
    (note,) = notes(service, ids["oldest"])
    assert note["why"] == "disk"
    assert note["message"] == "Removed work files (the disk was low): 2 files, 2.0 MB."


def test_nothing_goes_before_its_time_while_there_is_room(service: Service) -> None:
    job_id = _big(service, 7)
    assert not retention.Sweeper(service).sweep()
    assert kept(service, job_id) == set(KINDS)


def test_the_budget_holds_for_a_low_disk_too(service: Service) -> None:
    ids = [_big(service, 7 - number) for number in range(3)]
    _fill(service, 100_000)
    sweeper = retention.Sweeper(service)
    report = sweeper.sweep(1)
    assert (report.jobs, report.low, report.spent) == (1, True, True)
    sweeper.sweep(1)
    sweeper.sweep(1)
    assert [told(row(service, job_id)) for job_id in ids] == [{"work"}] * 3


def test_a_disk_without_any_room_for_the_event_is_freed_all_the_same(service: Service) -> None:
    job_id = _big(service, 7)
    events = path_of(service, job_id) / "events.jsonl"
    directory = service.directory(row(service, job_id))
    block = 4096  # the file ends with one: a further event needs another
    padding = block - (events.stat().st_size + 150) % block
    directory.events.append("note", source="test", message="x" * padding)
    jobs.take_over(service, job_id)
    _fill(service, 0)
    assert block - events.stat().st_size % block < 100
    with pytest.raises(OSError, match="No space left"):
        directory.events.append("note", source="test", message="x" * 100)
    report = retention.Sweeper(service).sweep()
    assert report.jobs == 1
    assert told(row(service, job_id)) == {"work"}
    assert disk.free(service) > _MB
