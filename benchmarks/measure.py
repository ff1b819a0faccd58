"""Wall time and peak memory of whole processes, in interleaved rounds."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What one process took.

    Attributes
    ----------
    seconds : float
        Wall time, start of the interpreter included.
    megabytes : float
        Largest resident size of the process (children it waited for not included).
    """

    seconds: float
    megabytes: float


def measure(command: Sequence[str], *, may_fail: bool = False) -> Figure:
    """Run `command` and measure it.

    Raises
    ------
    RuntimeError
        If it fails although it must not.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None  # asked for above
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and not may_fail:
        raise RuntimeError(f"{' '.join(command)} failed:\n{said.decode(errors='replace')}")
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return Figure(seconds, usage.ru_maxrss / unit)


def interleaved(
    commands: Mapping[str, Sequence[str]], rounds: int, *, may_fail: bool = False
) -> dict[str, Figure]:
    """Run all commands in turn, `rounds` times, and give the median of each."""
    figures: dict[str, list[Figure]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, command in commands.items():
            figure = measure(command, may_fail=may_fail)
            figures[name].append(figure)
            print(
                f"round {number + 1}: {name:24} {figure.seconds:7.2f} s {figure.megabytes:7.0f} MB"
            )
    return {
        name: Figure(
            statistics.median(f.seconds for f in found),
            statistics.median(f.megabytes for f in found),
        )
        for name, found in figures.items()
    }
