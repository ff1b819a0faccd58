"""The web server behind a socket, and its replacement by a newer one without a gap.

The socket belongs to the parent: connections that come while nobody accepts them wait in it. The
new server is started beside the old one, and once it has answered a first request the old one is
told to end: it finishes what it has begun and accepts nothing more.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from webapp.children import Child, Family, spawn

_START = 60.0  # seconds for a new server to answer
_LOOK = 0.05  # seconds between looks at a server that is starting

log = logging.getLogger(__name__)


class _Server:
    """One server: all its processes, and a pipe in which each says that it is ready."""

    def __init__(self, listener: socket.socket, processes: int) -> None:
        self.child = Child("the web server", self._start)
        self._listener = listener
        self._processes = processes
        self._pipe: int | None = None
        self._ready = 0
        self._since = time.monotonic()

    @property
    def is_ready(self) -> bool:
        """Whether all its processes have answered a first request."""
        with suppress(BlockingIOError):
            if self._pipe is not None:
                self._ready += len(os.read(self._pipe, 64))
        return self._ready >= self._processes

    @property
    def has_failed(self) -> bool:
        """Whether it has ended, or takes too long; ask only one that is starting."""
        return self.child.pid is None or time.monotonic() - self._since > _START

    def kill(self) -> None:
        """End all its processes at once."""
        if self.child.pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGKILL)

    def _start(self) -> int:
        self.close()
        self._pipe, ours = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._ready, self._since = 0, time.monotonic()
        theirs = self._listener.fileno()
        try:
            for number in (theirs, ours):
                os.set_inheritable(number, True)
            argv = ["-m", "webapp.cli.web", "--fd", str(theirs), "--ready", str(ours)]
            return spawn([sys.executable, *argv], death=signal.SIGINT)
        finally:
            os.set_inheritable(theirs, False)  # a worker that had it would keep the port
            os.close(ours)

    def close(self) -> None:
        """Ask it no longer whether it is ready."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None


class Servers:
    """The server that answers at a socket, its successor while that one starts.

    Parameters
    ----------
    family : Family
        Takes their processes in.
    listener : socket
        Where they answer.
    processes : int
        Web processes of each.
    """

    def __init__(self, family: Family, listener: socket.socket, processes: int) -> None:
        self._family = family
        self._make = partial(_Server, listener, processes)
        self._now = self._make()
        self._next: _Server | None = None
        self._again = False
        self._then: Callable[[], object] = lambda: None
        self._old: list[_Server] = []
        family.add(self._now.child)

    @property
    def are_running(self) -> bool:
        """Whether any of their processes is there."""
        return any(server.child.pid is not None for server in self._all())

    def renew(self, then: Callable[[], object] = lambda: None) -> None:
        """Replace the server by a new one; go on with `tend`.

        Parameters
        ----------
        then : callable
            Called once the new one answers; not at all if it does not start.
        """
        if self._next is not None:
            self._again = True  # what starts now may have missed what has changed since
            return
        self._then, self._again = then, False
        self._next = self._make()
        self._family.add(self._next.child).tend()

    def tend(self) -> float:
        """Go on with a replacement; give the seconds until there is more to do."""
        self._old = [server for server in self._old if server.child.pid is not None]
        if self._next is None:
            return float("inf")
        if self._next.is_ready:
            self._swap(self._next)
        elif self._next.has_failed:
            self._give_up(self._next)
        return _LOOK

    def stop(self) -> None:
        """Tell all of them to end once they have answered what they were asked."""
        for server in self._all():
            server.child.stop()

    def kill(self) -> None:
        """End all of them at once."""
        for server in self._all():
            server.child.wanted = False
            server.kill()

    def _all(self) -> list[_Server]:
        return [*self._old, self._now, *([self._next] if self._next else [])]

    def _swap(self, successor: _Server) -> None:
        log.info("the new web server answers; the old one finishes what it has begun")
        self._now.child.stop()
        self._old.append(self._now)
        for server in (self._now, successor):
            server.close()
        self._now, self._next = successor, None
        self._then()
        self._renew_again()

    def _give_up(self, failed: _Server) -> None:
        log.error("the new web server does not start (see above); the old one goes on")
        failed.child.wanted = False
        failed.kill()
        failed.close()
        self._old.append(failed)
        self._next = None
        self._renew_again()

    def _renew_again(self) -> None:
        if self._again:
            self.renew(self._then)
