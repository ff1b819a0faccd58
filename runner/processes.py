"""Which processes of an attempt are alive, and the proof that none is."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

MARK = "JOBRUNNER_ATTEMPT"


def boot_id() -> str:
    """Give the kernel's id of this boot: a pid of another boot is certainly dead."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def namespace() -> str:
    """Give the kernel's name of the space that pids count in: each container has its own."""
    return os.readlink("/proc/self/ns/pid")


def lives_since(pid: int, moment: float) -> bool:
    """Tell whether a process lives that is older than `moment`, in seconds since 1970.

    A younger one of that number is another: numbers are given again.
    """
    try:
        process = psutil.Process(pid)
        return process.create_time() <= moment and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def survivors(mark: str) -> Iterator[psutil.Process]:
    """Give this machine's processes that carry the mark of an attempt in their environment.

    The mark survives a change of session or parent; a pid alone may have been given away since.
    """
    wanted = f"{MARK}={mark}".encode()
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with suppress(OSError, psutil.Error):
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
            if wanted in environment.split(b"\0"):
                yield process


def kill_survivors(mark: str, timeout: float = 10) -> list[int]:
    """Kill what an attempt left behind and wait until it is gone.

    Parameters
    ----------
    mark : str
        Mark of the attempt.
    timeout : float
        Seconds to wait for the killed processes to disappear.

    Returns
    -------
    list of int
        The pids killed.

    Raises
    ------
    TimeoutError
        If one does not end, for example in an uninterruptible wait for a file server.
    """
    killed: list[int] = []
    while found := list(survivors(mark)):
        for process in found:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
                killed.append(process.pid)
        _, alive = psutil.wait_procs(found, timeout)
        if alive:
            raise TimeoutError(f"processes {[p.pid for p in alive]} do not end")
    return killed


def bare_snakemake(directory: Path) -> psutil.Process | None:
    """Give a Snakemake process of this machine that works in `directory`, if there is one."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            named = any("snakemake" in Path(word).name for word in words[:4])
            if named and process.pid != os.getpid() and Path(process.cwd()) == directory:
                return process
    return None
