"""How much room folders take on disk."""

from __future__ import annotations

import os
import stat
import time

MB = 10**6  # bytes: of disk, as everywhere else where this project counts files
_SHARE = 50  # of the time, one part in so many goes into looking


class Watch:
    """Looks at folders now and then: the larger they are, the more seldom.

    Parameters
    ----------
    folders : list of str
        What is counted together.
    interval : float
        Seconds between two looks at least.
    """

    def __init__(self, folders: list[str], interval: float = 2.0) -> None:
        self._folders = folders
        self._interval = interval
        self._next = time.monotonic() + interval

    def look(self, now: bool = False) -> float:
        """Give their size in MB (10⁶ bytes), or 0 if it is not yet time to look again."""
        began = time.monotonic()
        if not now and began < self._next:
            return 0.0
        found = size(self._folders) / MB
        ended = time.monotonic()
        self._next = ended + max(self._interval, _SHARE * (ended - began))
        return found


def size(folders: list[str]) -> int:
    """Give how many bytes of disk folders take; a file with several names counts once."""
    total, waiting = 0, list(folders)
    seen: set[tuple[int, int]] = set()
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    total += _size(entry, waiting, seen)
        except OSError:  # removed meanwhile, or not ours to read
            continue
    return total


def _size(entry: os.DirEntry[str], folders: list[str], seen: set[tuple[int, int]]) -> int:
    """Give what one entry takes itself; a folder is noted down to be looked into."""
    try:
        state = entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.path)
    except OSError:
        return 0
    if state.st_nlink > 1 and not stat.S_ISDIR(state.st_mode):
        if (state.st_dev, state.st_ino) in seen:
            return 0
        seen.add((state.st_dev, state.st_ino))
    return state.st_blocks * 512
