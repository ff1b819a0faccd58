"""Folders that are made once, whole or not at all, and then never change."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from runner.standin.locking import exclusive


def once(store: Path, target: Path, make: Callable[[Path], object]) -> None:
    """Make `target` unless it is there: beside it, read-only, then renamed.

    Parameters
    ----------
    store : Path
        Has the folder ``locks/``.
    target : Path
        A folder two levels below `store`; jobs that want it wait for the one that makes it.
    make : callable
        Gets the path of a folder to make.
    """
    if target.is_dir():
        return
    with locked(store, target.parent.name):
        if target.is_dir():
            return
        target.parent.mkdir(exist_ok=True)
        for left in target.parent.glob(f".{target.name}.*"):
            _discard(left)  # of a process that was killed: we hold its lock
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            make(draft)
            set_writable(draft, False)
            draft.rename(target)
        finally:
            _discard(draft)


def locked(store: Path, name: str) -> AbstractContextManager[None]:
    """Hold what concerns one folder of the store."""
    return exclusive(store / "locks" / name, f"another job that prepares {name}")


def set_writable(folder: Path, writable: bool) -> None:
    """Let the owner change a folder with all in it, or nobody."""
    for base, _, names in os.walk(folder):
        for path in [Path(base), *(Path(base, name) for name in names)]:
            if not path.is_symlink():
                mode = path.stat().st_mode & 0o777
                path.chmod(mode | 0o200 if writable else mode & 0o555)


def _discard(folder: Path) -> None:
    if folder.exists():
        set_writable(folder, True)
        shutil.rmtree(folder, ignore_errors=True)
