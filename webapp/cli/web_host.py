"""The parent of ``jobrunner web``: a socket, the server behind it, reconciler and notifier."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import time
from functools import partial

from webapp.children import Child, Family, Signals, Terminal, adopt_orphans, spawn
from webapp.cli.servers import Servers

_END = 10.0  # seconds for requests that are being answered when the server is stopped

log = logging.getLogger(__name__)


class WebHost:
    """Keep a web server, a reconciler and a notifier running.

    SIGHUP replaces all of them, in the version that is installed now; SIGTERM ends them.

    Parameters
    ----------
    listener : socket
        Where the server is to answer.
    processes : int
        Web processes.
    """

    def __init__(self, listener: socket.socket, processes: int) -> None:
        self._family = Family()
        self._servers = Servers(self._family, listener, processes)
        self._watchers = [
            self._family.add(Child(f"the {name}", partial(_start_watcher, name)))
            for name in ("reconciler", "notifier")
        ]
        self._terminal = Terminal()

    def run(self) -> int:
        """Serve until told to stop."""
        adopt_orphans()
        signals = Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
        while not self._hear(signals.take()):
            due = min(self._family.tend(), self._servers.tend())
            signals.wait(due)
        self._end(signals)
        return 0

    def _hear(self, numbers: list[int]) -> bool:
        """Do as the signals say; tell whether one of them ends it."""
        if signal.SIGHUP in numbers:
            if self._terminal.is_gone():
                return True
            self._servers.renew(self._renew_watchers)
        return signal.SIGTERM in numbers or signal.SIGINT in numbers

    def _renew_watchers(self) -> None:
        """End them; they are started again, in their new version."""
        for child in self._watchers:
            child.send(signal.SIGTERM)

    def _end(self, signals: Signals) -> None:
        for child in self._watchers:
            child.stop()
        self._servers.stop()
        deadline = time.monotonic() + _END
        while self._servers.are_running or any(child.pid for child in self._watchers):
            signals.wait(0.2)
            signals.take()
            self._family.bury()
            if time.monotonic() > deadline:
                self._servers.kill()
                for child in self._watchers:
                    child.send(signal.SIGKILL)


def _start_watcher(name: str) -> int:
    return spawn([sys.executable, "-m", "webapp.cli.watch", name], death=signal.SIGTERM)
