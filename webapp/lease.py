"""Being the only one, of all hosts of a home, that does something."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def lease(home: Path, name: str) -> Iterator[bool]:
    """Try to be the one that does `name`: a lock that ends with its holder.

    Whoever holds it must not fork a process that goes on: that would hold it, too.

    Parameters
    ----------
    home : Path
        The home folder.
    name : str
        What it is about.
    """
    descriptor = os.open(home / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)
