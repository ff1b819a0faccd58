"""The supervisor's lock: whoever holds it works on a job; the kernel frees it when he dies.

It is a POSIX record lock: unlike the leader's lock it is not handed down to the leader, so it is
free as soon as the supervisor has died, and network file systems know it. The price: it is lost
when its process closes *any* descriptor of that file, so a process must never look at a lock that
it holds.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_GRACE = 2.0  # seconds: somebody may have tried the lock just now
_held: set[Path] = set()


def lock_file(directory: Path) -> Path:
    """Give the path of the lock of a job directory's supervisor."""
    return directory / "attempts" / "supervisor.lock"


@contextmanager
def hold(directory: Path, grace: float = _GRACE) -> Iterator[bool]:
    """Hold the lock of a job directory for a block.

    Parameters
    ----------
    directory : Path
        The job directory.
    grace : float
        Seconds to wait for the lock.

    Yields
    ------
    bool
        Whether it is held; False if somebody else has it.
    """
    path = lock_file(directory)
    if path in _held:
        raise RuntimeError(f"this process holds {path} already")
    path.parent.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if not _locked(descriptor, grace):
            yield False
            return
        _held.add(path)
        try:
            yield True
        finally:
            _held.discard(path)
    finally:
        os.close(descriptor)


def is_held(directory: Path) -> bool:
    """Tell whether a living supervisor works on a job directory."""
    if lock_file(directory) in _held:
        return True
    if not lock_file(directory).exists():
        return False
    with hold(directory, grace=0) as free:
        return not free


def _locked(descriptor: int, grace: float) -> bool:
    deadline = time.monotonic() + grace
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True
