"""Commands that tell when they live, so that two copies at once in one directory are seen."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.slurm.processes import until

# It and a child of it, which belongs to another session, write down that they live.
_PROGRAM = """
import os, subprocess, sys, time
if len(sys.argv) == 2:
    subprocess.Popen([sys.executable, __file__, sys.argv[1], "child"], start_new_session=True)
while not os.path.exists("enough"):
    with open("written.txt", "a") as stream:
        stream.write(f"{sys.argv[1]} {time.monotonic()} {os.getpid()}\\n")
    time.sleep(0.02)
"""


@dataclass(frozen=True)
class Writers:
    """Writers in one directory; each copy of them has a name."""

    folder: Path

    def command(self, copy: str = "one") -> list[str]:
        """Give the command of a copy."""
        program = self.folder / "writer.py"
        program.write_text(_PROGRAM)
        return [sys.executable, str(program), copy]

    def line(self, copy: str = "one") -> str:
        """Give the same as a line of a shell, in the directory; `copy` is a word of that shell."""
        program = self.command()[1]
        return f"cd {self.folder} && {sys.executable} {program} {copy}"

    def lines(self, copy: str = "one") -> list[tuple[float, int]]:
        """Give when a copy wrote, and the pids that did."""
        path = self.folder / "written.txt"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(float(line[1]), int(line[2])) for line in lines if line[0] == copy]

    def copies(self) -> list[str]:
        """Name the copies that have written, the first one first."""
        path = self.folder / "written.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        return list(dict.fromkeys(line.split()[0] for line in lines))

    def until_written(self, copy: str = "one", timeout: float = 30) -> None:
        """Wait until both processes of a copy have written."""
        until(lambda: len({pid for _, pid in self.lines(copy)}) >= 2, f"{copy} writes", timeout)

    def enough(self) -> None:
        """Have all copies end well."""
        (self.folder / "enough").touch()

    def alive(self, copy: str = "one") -> list[int]:
        """Give which processes of a copy live."""
        return [pid for pid in {pid for _, pid in self.lines(copy)} if lives(pid)]

    def assert_never_both(self, before: str, after: str) -> None:
        """Fail if the earlier copy still lived when the later one began."""
        last, first = self.lines(before)[-1][0], self.lines(after)[0][0]
        assert last < first, f"{before} still wrote when {after} did"
        assert not self.alive(before)


def lives(pid: int) -> bool:
    """Tell whether a process lives."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
