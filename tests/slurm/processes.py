"""Daemons that are started and ended by their process ids, also by a later command."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

_Found = TypeVar("_Found")
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # an ordinary user's PATH has no sbin


def until(look: Callable[[], _Found], what: str = "", timeout: float = 30) -> _Found:
    """Give what `look` finds, once it finds something."""
    deadline = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:g} s: {what or look}")
        time.sleep(0.05)
    return found


def program(name: str) -> str | None:
    """Find a program of the system, also where only root looks for it."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")


@dataclass
class Daemons:
    """Processes with names; their ids are kept in files, so that another process can end them.

    With `bound` they end with the thread that started them, however it ended.
    """

    folder: Path
    user: str | None = None  # who they run as: whoever starts them, or this account
    bound: bool = True
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(
        self, name: str, *argv: str | Path, env: Mapping[str, str] | None = None, cwd: str = "."
    ) -> None:
        """Start a program in a session of its own; what it says goes to ``log/<name>``."""
        words = [*self._prefix(["--pdeathsig=TERM"] if self.bound else []), *_command(argv)]
        with (self.folder / "log" / name).open("ab") as log:
            child = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder / cwd,
                env={**os.environ, **(env or {})}, start_new_session=True,
            )  # fmt: skip
        self.children[name] = child
        (self.folder / "pids" / name).write_text(f"{child.pid} {_started(child.pid)}")

    def once(
        self, *argv: str | Path, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end as the same user."""
        return subprocess.run(
            [*self._prefix([]), *_command(argv)], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, cwd=self.folder, env={**os.environ, **(env or {})},
        )  # fmt: skip

    def until(self, name: str, look: Callable[[], object], timeout: float = 30) -> None:
        """Wait until something is so; if the process ends before, say what it said."""

        def found() -> object:
            if self.process(name) is None:
                raise RuntimeError(f"{name} ended:\n{self.log(name)}")
            return look()

        until(found, f"{name} is ready:\n{self.log(name)}", timeout)

    def _prefix(self, words: list[str]) -> list[str]:
        account = pwd.getpwnam(self.user) if self.user else None
        if account:
            words += [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        return ["setpriv", *words, "--"] if words else []

    def process(self, name: str) -> psutil.Process | None:
        """Give a process that lives; an id that now belongs to another does not count."""
        try:
            pid, started = (self.folder / "pids" / name).read_text().split()
            found = psutil.Process(int(pid))
        except (FileNotFoundError, psutil.NoSuchProcess):
            return None
        return found if lives(found) and str(found.create_time()) == started else None

    def names(self) -> list[str]:
        """Name those that live, the first started first."""
        files = sorted((self.folder / "pids").glob("*"), key=lambda file: file.stat().st_mtime_ns)
        return [file.name for file in files if self.process(file.name)]

    def stop(self, name: str, sign: int = signal.SIGTERM, timeout: float = 10) -> None:
        """End a process and wait until it is gone; one that does not listen is killed."""
        if found := self.process(name):
            found.send_signal(sign)
            try:
                until(lambda: not lives(found), f"{name} ends", timeout)
            except TimeoutError:
                kill([found])
        if child := self.children.pop(name, None):
            child.wait()
        (self.folder / "pids" / name).unlink(missing_ok=True)

    def log(self, name: str) -> str:
        """Give what a program said."""
        return (self.folder / "log" / name).read_text(errors="replace")


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill processes in their order, and wait until all are gone."""
    found = list(processes)
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    until(lambda: not any(map(lives, found)), f"these are gone: {found}", timeout=10)


def lives(process: psutil.Process) -> bool:
    """Say whether a process can still do anything: who has ended may wait long to be buried."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def processes_where(test: Callable[[psutil.Process], bool]) -> Iterator[psutil.Process]:
    """Find processes that live and of which something is true."""
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if lives(process) and test(process):
                yield process


def _started(pid: int) -> str:
    return str(psutil.Process(pid).create_time())


def _command(argv: Sequence[str | Path]) -> list[str]:
    return [program(str(argv[0])) or str(argv[0]), *map(str, argv[1:])]
