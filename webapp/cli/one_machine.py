"""Redis, a worker process and the web server under one parent; none outlives it."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import click
import psutil
from sqlalchemy import select

from webapp import redis_server
from webapp.children import Child, Errand, Family, Signals, Terminal, adopt_orphans, spawn
from webapp.cli.servers import Servers
from webapp.cli.sockets import CannotStart, answers, url_of
from webapp.db import DatabaseAway
from webapp.jobs.row import WAITS_MB
from webapp.models import Job, is_whole
from webapp.service import Service
from webapp.settings import socket_path
from webapp.worker.process import STOP

_START = 60.0  # seconds for the web server to answer
_END = 15.0  # seconds for web server and Redis to end
_OLD_ENDS = 5.0  # seconds for what a killed `up` has left to end
_REPEAT = 30.0  # seconds between reminders of what is waited for

log = logging.getLogger(__name__)


class OneMachine:
    """The service of one home folder.

    Parameters
    ----------
    service : Service
        What it works with.
    listener : socket
        Where the web server is to answer.
    slots : mapping
        Attempts at once by pool; each pool has a worker process of its own.
    """

    def __init__(self, service: Service, listener: socket.socket, slots: Mapping[str, int]) -> None:
        self.service = service
        self.slots = slots
        self.url = url_of(listener)
        self._listener = listener
        self._family = Family()
        self._redis = Child("Redis", partial(redis_server.start, service.home.path))
        self._argvs = _argvs(slots)
        self._workers = [
            Child(f"the worker process of pool {pool}", partial(spawn, argv, death=STOP))
            for pool, argv in zip(slots, self._argvs, strict=True)
        ]
        self._servers = Servers(self._family, listener, service.settings.web_processes)
        self._preparation: Errand | None = None
        self._again = False
        self._terminal = Terminal()
        self._stops = 0
        self._signals: Signals | None = None

    def start(self) -> None:
        """Start everything; return once it answers.

        Raises
        ------
        JobRunnerError
            If it does not.
        """
        adopt_orphans()
        self._signals = Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
        if self.service.settings.redis_url == f"unix://{socket_path(self.service.home.path)}":
            self._redis.pid = redis_server.start(self.service.home.path)
            self._family.add(self._redis)
        for worker in self._workers:
            self._family.add(worker)
        deadline = time.monotonic() + _START
        self._family.tend()
        while not answers(*self._listener.getsockname()[:2]):
            self._family.tend()
            if self._hear():
                self._end()
                raise click.Abort
            if time.monotonic() > deadline:
                self._end()
                raise CannotStart("The web server does not answer; see the messages above.")
            self._signals.wait(0.05)

    def run(self) -> int:
        """Keep it running until told to stop."""
        assert self._signals is not None
        while not self._hear():
            due = self._family.tend()
            self._go_on_renewing()
            self._signals.wait(min(due, self._servers.tend()))
        self._drain()
        self._end()
        return 0

    def _hear(self) -> bool:
        assert self._signals is not None
        told = [signal.SIGTERM, signal.SIGINT]
        heard = self._signals.take()
        if signal.SIGHUP in heard and self._terminal.is_gone():
            told.append(signal.SIGHUP)
        elif signal.SIGHUP in heard and self._stops == 0:
            self._renew()
        self._stops += sum(number in told for number in heard)
        return self._stops > 0

    def _renew(self) -> None:
        """Begin to replace web server and worker by those of the version that is installed now."""
        if self._preparation is not None:
            self._again = True  # what it prepares may be older than what is installed now
            return
        argv = [sys.executable, "-m", "webapp.cli.prepare"]
        start = partial(spawn, argv, death=signal.SIGTERM)
        self._preparation, self._again = Errand("the preparation of a new version", start), False
        self._family.add(self._preparation)

    def _go_on_renewing(self) -> None:
        """Replace them, once what they need is there: the tables, the job types."""
        if self._preparation is None or self._preparation.code is None:
            return
        if self._preparation.code == 0:
            self._servers.renew(self._renew_workers)
        else:
            log.error("the new version cannot be prepared (see above); the old one goes on")
        self._preparation = None
        if self._again:
            self._renew()

    def _renew_workers(self) -> None:
        for worker in self._workers:
            worker.send(signal.SIGHUP)

    def _drain(self) -> None:
        """Wait for the attempts; the web server goes on answering meanwhile."""
        assert self._signals is not None
        for worker in self._workers:
            worker.stop()
        hurried, next_word = False, 0.0
        while self._is_working() or self._adopted():
            if time.monotonic() > next_word and not hurried:
                _say_what_runs(self.service)
                next_word = time.monotonic() + _REPEAT
            self._signals.wait(min(self._family.tend(), self._servers.tend(), 1.0))
            self._hear()
            if self._stops > 1 and not hurried:
                hurried = True
                click.echo("Stopping the attempts; their jobs continue at the next start.")
                for worker in self._workers:
                    worker.send(STOP)
                self._stop_adopted()
            self._family.bury()

    def _end(self) -> None:
        """End web server and Redis, in this order."""
        self._stop_adopted()
        for worker in self._workers:
            worker.stop(STOP)
        self._servers.stop()
        self._wait_for(*self._workers)
        self._redis.stop()
        self._wait_for(self._redis)

    def _wait_for(self, *children: Child) -> None:
        """Wait for the web server and some children."""
        assert self._signals is not None
        deadline = time.monotonic() + _END
        while any(child.pid is not None for child in children) or self._servers.are_running:
            self._signals.wait(0.2)
            self._hear()
            self._family.bury()
            if time.monotonic() > deadline:
                self._servers.kill()
                for child in children:
                    child.send(signal.SIGKILL)

    def _is_working(self) -> bool:
        return any(worker.pid is not None for worker in self._workers)

    def _adopted(self) -> list[int]:
        """Give the slots that a worker process has left when it died, and their horses."""
        return [pid for argv in self._argvs for pid in self._family.adopted(argv)]

    def _stop_adopted(self) -> None:
        for pid in self._adopted():
            with suppress(ProcessLookupError):
                os.kill(pid, STOP)


def _argvs(slots: Mapping[str, int]) -> list[list[str]]:
    """Give the commands of the worker processes; attempts that wait for a cluster need memory."""
    waiting = slots.get("slurm", 0) * WAITS_MB
    rest = max(1, psutil.virtual_memory().total // 2**20 - waiting)
    more = {"default": ["--mem", str(rest)] if waiting else [], "slurm": ["--pool", "slurm"]}
    start = [sys.executable, "-m", "webapp.cli.worker", "--slots"]
    return [[*start, str(number), *more[pool]] for pool, number in slots.items()]


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the lock that lets one `up` at a time work in a home.

    Raises
    ------
    CannotStart
        If another one does.
    """
    descriptor = os.open(home / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _OLD_ENDS
    try:
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                pid = os.pread(descriptor, 32, 0).decode().strip()
                raise CannotStart(
                    f"`jobrunner up` (process {pid}) runs in {home} already. Stop it first, or "
                    "choose another home: --home."
                )
            time.sleep(0.1)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _say_what_runs(service: Service) -> None:
    query = select(Job.id, Job.type).where(Job.status.in_(("running", "stopping")), is_whole())
    try:
        with service.db.read() as session:
            found = session.execute(query.order_by(Job.id).limit(20)).all()
    except DatabaseAway:
        return
    if found:
        listed = ", ".join(f"{job_id} ({type_name})" for job_id, type_name in found)
        click.echo(f"Waiting for {listed}. Once more Ctrl-C stops what runs.")
