"""Locks between processes that end with whoever holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file; wait for whoever has it.

    The kernel frees it when the holder ends, kill -9 included. Children do not inherit it (Python
    opens files so), hence one that outlives the holder cannot block others.

    Parameters
    ----------
    path : Path
        The lock file, made if missing and never removed. Its folder must exist.
    what : str
        What one waits for, for a person.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for {what} …", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
