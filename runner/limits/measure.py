"""What a command and all processes below it use."""

from __future__ import annotations

import os
import resource
import time

from runner.limits.cgroups import Group
from runner.limits.kernel import MB, descendants

_SHARE = 20  # of the time, one part in so many goes into looking at processes


class Meter:
    """Measures the children of this process, which has to collect them all.

    CPU time, reading and writing are those that the kernel adds to a parent when it collects a
    child (getrusage(2), proc(5), ``io``). The peak of memory is the larger of the sum that was seen
    now and then, and of the largest process, which the kernel notes.

    Parameters
    ----------
    group : Group or None
        The control group that counts their memory, if there is one.
    """

    def __init__(self, group: Group | None) -> None:
        self.group = group
        self.began = time.monotonic()
        self.peak = 0
        self._seen = 0
        self._next = self.began

    def sample(self) -> int:
        """Give the memory in use, in bytes; copies of files do not count.

        Without a group the kernel walks through all pages of all processes for that: the longer it
        takes, the more seldom it is done.
        """
        began = time.monotonic()
        if self.group is not None:
            self._seen = self.group.memory()
        elif began >= self._next:
            self._seen = sum(_memory(pid) for pid in descendants(os.getpid()))
            ended = time.monotonic()
            self._next = ended + _SHARE * (ended - began)
        self.peak = max(self.peak, self._seen)
        return self._seen

    def seconds(self) -> float:
        """Give the seconds since the beginning."""
        return time.monotonic() - self.began

    def used(self) -> dict[str, float]:
        """Give what the children that were collected have used.

        Returns
        -------
        dict
            ``seconds``, ``cpu_seconds``, ``peak_mb`` (2²⁰ bytes), ``read_mb`` and ``written_mb``
            (10⁶ bytes, of files, pipes and all else).
        """
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = _io("/proc/thread-self/io")
        read, written = (all_ - mine for all_, mine in zip(_io("/proc/self/io"), own, strict=True))
        return {
            "seconds": round(self.seconds(), 3),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
            "peak_mb": round(max(self.peak, usage.ru_maxrss * 1024) / MB, 1),
            "read_mb": round(read / 10**6, 3),
            "written_mb": round(written / 10**6, 3),
        }


def _memory(pid: int) -> int:
    """Give the share of a process in memory that is no copy of a file, in bytes."""
    total = 0
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii", errors="replace") as stream:
            for line in stream:
                if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                    total += int(line.split()[1]) * 1024
    except OSError:  # it has ended, or is another user's
        return 0
    return total


def _io(path: str) -> tuple[int, int]:
    found = {"rchar": 0, "wchar": 0}
    try:
        with open(path, encoding="ascii") as stream:
            for line in stream:
                name, _, value = line.partition(":")
                if name in found:
                    found[name] = int(value)
    except OSError:  # a kernel that does not count them
        pass
    return found["rchar"], found["wchar"]
