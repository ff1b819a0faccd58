"""Processes that are to run, and are started again when they die; signals as a file descriptor."""

from __future__ import annotations

import ctypes
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from runner.command import die_with_parent

_FIRST_DELAY = 0.1  # seconds before something that died at once is started again
_LONGEST_DELAY = 5.0
_GOOD = 10.0  # seconds after which a process counts as having come up well

_PR_SET_CHILD_SUBREAPER = 36
_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)

log = logging.getLogger(__name__)


@dataclass
class Child:
    """A process that is to run.

    Attributes
    ----------
    name : str
        For people.
    start : callable
        Starts it and gives its pid.
    wanted : bool
        Whether it is started again when it ends.
    pid : int or None
        None while it does not run.
    """

    name: str
    start: Callable[[], int]
    wanted: bool = True
    pid: int | None = None
    _since: float = 0.0
    _delay: float = 0.0
    _not_before: float = 0.0

    def tend(self) -> None:
        """Start it if it is to run and does not; after a failure not at once."""
        if self.wanted and self.pid is None and time.monotonic() >= self._not_before:
            self._since = time.monotonic()
            try:
                self.pid = self.start()
            except Exception as error:  # the next try may do better
                log.error("%s does not start: %s", self.name, error)
                self._wait()

    def ended(self, status: int) -> None:
        """Take down that it has ended, with what ``os.waitpid`` said."""
        self.pid = None
        if self.wanted:
            log.warning("%s has ended (%s) and is started again", self.name, _told(status))
            self._wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Want it no longer, and tell it so."""
        self.wanted = False
        self.send(number)

    def due(self) -> float:
        """Give the seconds until `tend` has something to do; infinite if nothing is planned."""
        if not self.wanted or self.pid is not None:
            return float("inf")
        return max(0.0, self._not_before - time.monotonic())

    def _wait(self) -> None:
        lived = time.monotonic() - self._since
        doubled = min(max(self._delay * 2, _FIRST_DELAY), _LONGEST_DELAY)
        self._delay = 0.0 if lived > _GOOD else doubled
        self._not_before = time.monotonic() + self._delay


@dataclass
class Errand(Child):
    """A process that is to run once.

    Attributes
    ----------
    code : int or None
        Its exit status, or minus its signal; None while it runs.
    """

    code: int | None = None

    def ended(self, status: int) -> None:
        """Take down how it has ended."""
        self.pid, self.wanted = None, False
        self.code = os.waitstatus_to_exitcode(status)


@dataclass
class Family:
    """All children of this process, and those that it has adopted."""

    members: list[Child] = field(default_factory=list)

    def add(self, child: Child) -> Child:
        """Take one more in; `tend` starts it."""
        self.members.append(child)
        return child

    def tend(self) -> float:
        """Bury the dead, start what is to run; give the seconds until there is more to do."""
        self.bury()
        for child in self.members:
            child.tend()
        self.members = [child for child in self.members if child.wanted or child.pid is not None]
        return min((child.due() for child in self.members), default=float("inf"))

    def adopted(self, argv: Sequence[str] = ()) -> list[int]:
        """Give the adopted processes that run a program: this one, or that of `argv`.

        Others are left alone: a job may leave a process behind.
        """
        known, me = {child.pid for child in self.members}, psutil.Process()
        wanted, found = list(argv) or me.cmdline(), []
        for process in me.children():
            with suppress(psutil.Error):
                if process.pid not in known and process.cmdline() == wanted:
                    found.append(process.pid)
        return found

    def bury(self) -> None:
        """Take down which children have ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self.members:
                if child.pid == pid:
                    child.ended(status)


class Signals:
    """Signals to this process, to be waited for like a file.

    Parameters
    ----------
    *numbers : signal.Signals
        Which; they do nothing else from now on.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self._ours, self._theirs = socket.socketpair()
        for end in (self._ours, self._theirs):
            end.setblocking(False)
        signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)  # an older program may `keep` them

    def fileno(self) -> int:
        """Give a file descriptor that can be read once a signal has come."""
        return self._ours.fileno()

    def wait(self, seconds: float) -> None:
        """Wait until a signal has come, at most `seconds`."""
        select.select([self._ours], [], [], min(seconds, 3600))

    def take(self) -> list[int]:
        """Give the numbers of the signals that have come."""
        with suppress(BlockingIOError):
            return list(self._ours.recv(4096))
        return []

    def keep(self) -> None:
        """Keep what tells this process to end for the program that takes its place.

        SIGHUP is not: what it asks for is being done.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        for number in set(self.take()) - {signal.SIGHUP, signal.SIGCHLD}:
            os.kill(os.getpid(), number)


class Terminal:
    """Tells whether SIGHUP is a person's, who wants something renewed, or that of a lost terminal.

    Make one before signals are handled. A process that was to ignore it (nohup) has no terminal
    that it could lose.
    """

    def __init__(self) -> None:
        self._had = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _has_terminal()

    def is_gone(self) -> bool:
        """Tell whether there was one, and it is there no longer."""
        return self._had and not _has_terminal()

    def hand_on(self) -> None:
        """Let the program that takes our place find SIGHUP as we did."""
        signal.signal(signal.SIGHUP, signal.SIG_DFL if self._had else signal.SIG_IGN)


def spawn(argv: Sequence[str], *, death: signal.Signals, output: int | None = None) -> int:
    """Start a program in a session of its own, so that Ctrl-C is not for it.

    Parameters
    ----------
    argv : sequence of str
        The program's path and arguments.
    death : signal.Signals
        What it gets when this process dies.
    output : int, optional
        File descriptor for what it prints; this process's own by default.
    """

    def execute() -> int:
        if output is not None:
            os.dup2(output, 1)
            os.dup2(output, 2)
        os.execv(argv[0], list(argv))  # noqa: S606 - no shell is wanted

    return fork(execute, death=death)


def fork(run: Callable[[], int], *, death: signal.Signals) -> int:
    """Start a copy of this process in a session of its own, which does `run` and ends.

    Parameters
    ----------
    run : callable
        What it does; gives its exit code.
    death : signal.Signals
        What it gets when this process dies.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        return pid
    code = 70
    try:
        os.setsid()
        _fresh_signals()
        die_with_parent(death)
        if os.getppid() == parent:  # else it died before the kernel was asked
            code = run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        log.exception("process %s failed", os.getpid())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def has_ended(pid: int) -> bool:
    """Tell whether a child that is in no family has ended."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _fresh_signals() -> None:
    """Hear signals as a new process does, but no Ctrl-C: that is for the first process only."""
    signal.set_wakeup_fd(-1)
    for number in _HEARD:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)


def _told(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
