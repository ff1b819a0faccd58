"""Folders of requests: there while they are answered, and room on the disk for them."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.errors import DiskFull, JobRunnerError
from webapp.jobs import told_size

_STALE = 24 * 3600  # seconds after which what a killed process left is removed


class NoRoom(DiskFull):
    """Less free space than there must be for a request.

    Parameters
    ----------
    free, wanted, reserve : int
        Bytes: on the disk, of the request as far as they are known, kept for running jobs.
    """

    def __init__(self, free: int, wanted: int, reserve: int) -> None:
        size = f"the request needs {told_size(wanted)} and " if wanted else ""
        message = (
            f"The disk of the service has no room: {told_size(free)} are free, {size}"
            f"{told_size(reserve)} are kept for running jobs. Nothing was accepted; try again "
            "later. Operators can make room: delete jobs, or shorten the times of retention "
            "(`jobrunner clean --dry-run` says what would go), enlarge the disk, or lower "
            "JOBRUNNER_DISK_RESERVE."
        )
        JobRunnerError.__init__(self, message)


def check_room(folder: Path, reserve: int, wanted: int = 0) -> None:
    """See that `wanted` more bytes leave the reserve of disk space alone.

    Raises
    ------
    NoRoom
        If they would not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free - wanted < reserve:
        raise NoRoom(free, wanted, reserve)


@contextmanager
def new_folder(parent: Path, reserve: int, wanted: int = 0) -> Iterator[Path]:
    """Make a folder of a random name; it is removed after the block.

    Parameters
    ----------
    parent : Path
        Where; what killed processes left there is removed, too.
    reserve, wanted : int
        As `check_room`.

    Raises
    ------
    DiskFull
        If the disk has no room.
    """
    check_room(parent, reserve, wanted)
    for old in parent.iterdir():
        if _last_change(old) < time.time() - _STALE:
            shutil.rmtree(old, ignore_errors=True)
    folder = parent / secrets.token_hex(12)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _last_change(folder: Path) -> float:
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except OSError:  # somebody has just removed it
        return time.time()
