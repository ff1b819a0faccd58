"""A lock between machines, for file systems whose own locks may hold on one machine only.

Lustre mounted with ``localflock``, BeeGFS without global locks and others give a lock to a process
of each machine at once. So whoever has the kernel's lock also makes a file that says so, which only
one can, and touches it while it works. One that a process of this machine left behind is known to
be that, because the kernel's lock was free; one of another machine, when it is no longer touched.
"""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runner import processes
from runner.standin.locking import exclusive

BEAT = 10.0  # seconds between signs of life
SILENCE = 90.0  # seconds without one, after which a holder on another machine counts as dead
_PAUSE = 0.5


@contextmanager
def held_by_one_machine(path: Path, what: str) -> Iterator[None]:
    """Hold a lock that no other process has, of this machine or another; wait for whoever has it.

    Parameters
    ----------
    path : Path
        The lock file; beside it a file ``.holder`` appears while it is held.
    what : str
        What one waits for, for a person.
    """
    holder = path.with_name(f"{path.name}.holder")
    mine = f"{processes.boot_id()} {os.uname().nodename} {os.getpid()} {secrets.token_hex(4)}"
    with exclusive(path, what):
        _take(holder, mine, path, what)
        over = threading.Event()
        beat = threading.Thread(target=_show_life, args=(holder, over), daemon=True)
        beat.start()
        try:
            yield
        finally:
            over.set()
            beat.join()
            if _read(holder) == mine:
                holder.unlink(missing_ok=True)


def _take(holder: Path, mine: str, clock: Path, what: str) -> None:
    told = False
    while not _make(holder, mine):
        other = _read(holder)
        here = other is not None and other.startswith(f"{processes.boot_id()} ")
        if here or _silence(holder, clock) > SILENCE:
            _remove(holder, other)
            continue
        if not told and other:
            host = other.split()[1] if " " in other else "another machine"
            print(f"Waiting for {what} on {host} …", file=sys.stderr, flush=True)
            told = True
        time.sleep(_PAUSE)  # a file system that does not lock does not tell either


def _make(holder: Path, mine: str) -> bool:
    """Make the holder's file; False if there is one."""
    try:
        with holder.open("x") as stream:
            stream.write(mine)
    except FileExistsError:
        return False
    return True


def _read(holder: Path) -> str | None:
    try:
        return holder.read_text()
    except OSError:
        return None


def _silence(holder: Path, clock: Path) -> float:
    """Give the seconds since the last sign of life, by the clock of the file server."""
    clock.touch()
    now = clock.stat().st_mtime
    try:
        with holder.open() as stream:  # opened, because a network file system remembers old times
            return now - os.fstat(stream.fileno()).st_mtime
    except FileNotFoundError:
        return 0.0


def _remove(holder: Path, judged: str | None) -> None:
    """Remove a dead holder's file, and no other that has come in its place meanwhile."""
    aside = holder.with_name(f".{holder.name}.{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        holder.rename(aside)
        if _read(aside) != judged:
            with suppress(OSError):
                os.link(aside, holder)
        aside.unlink()


def _show_life(holder: Path, over: threading.Event) -> None:
    while not over.wait(BEAT):
        with suppress(OSError):
            os.utime(holder)
