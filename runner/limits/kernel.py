"""What the stage shell asks of Linux: which processes are below it, and to hear of deaths."""

from __future__ import annotations

import ctypes
import os
import signal

MB = 1 << 20  # bytes: of memory, as SLURM counts it
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
ORPHANED = signal.SIGURG  # nothing happens to who gets it and does not wait for it


def adopt_orphans() -> None:
    """Become the parent of each process below this one whose own parent ends.

    So none gets away, whatever it does to its session, and what it used is counted here.
    """
    _control(_PR_SET_CHILD_SUBREAPER, 1)


def hear_of_orphanhood() -> None:
    """Have the kernel send `ORPHANED` when the process that started this one ends."""
    _control(_PR_SET_PDEATHSIG, int(ORPHANED))


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends."""
    _control(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def descendants(pid: int) -> list[int]:
    """Give the processes below `pid`, parents first."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = _children(waiting.pop())
        found += below
        waiting += below
    return found


def reap() -> dict[int, int] | None:
    """Collect the children that have ended: their wait status by pid; None if none is left."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended or None
        if pid == 0:
            return ended
        ended[pid] = status


def send(pids: list[int], number: int) -> None:
    """Send a signal to processes, as far as they are alive."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def in_our_group(pid: int) -> bool:
    """Tell whether a process is in the process group of this one."""
    try:
        return os.getpgid(pid) == os.getpgrp()
    except ProcessLookupError:
        return False


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as stream:
                found += map(int, stream.read().split())
    except FileNotFoundError:
        if os.path.exists(f"/proc/{pid}"):  # a kernel without that file
            return [child for child in _numbers() if _parent(child) == pid]
    except ProcessLookupError:
        pass
    return found


def _numbers() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _parent(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            return int(stream.read().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _control(what: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(what, value, 0, 0, 0)
