"""Redis, a worker process and the web server under one parent; none outlives it."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import click
from sqlalchemy import select

from runner.errors import JobRunnerError
from webapp import redis_server
from webapp.children import Child, Family, Signals, adopt_orphans, spawn
from webapp.db import DatabaseAway
from webapp.models import Job
from webapp.service import Service
from webapp.settings import socket_path
from webapp.worker.process import STOP

_START = 60.0  # seconds for the web server to answer
_END = 15.0  # seconds for web server and Redis to end
_OLD_ENDS = 5.0  # seconds for what a killed `up` has left to end
_REPEAT = 30.0  # seconds between reminders of what is waited for

log = logging.getLogger(__name__)


class CannotStart(JobRunnerError):
    """The service cannot start as it was asked to."""

    code = "cannot_start"


class OneMachine:
    """The service of one home folder.

    Parameters
    ----------
    service : Service
        What it works with.
    listener : socket
        Where the web server is to answer.
    slots : int
        Attempts at once, in pool ``default``.
    """

    def __init__(self, service: Service, listener: socket.socket, slots: int) -> None:
        self.service = service
        self.slots = slots
        self.url = _url(listener)
        self._listener = listener
        self._worker_argv = [sys.executable, "-m", "webapp.cli.worker", "--slots", str(slots)]
        self._family = Family()
        self._redis = Child("Redis", partial(redis_server.start, service.home.path))
        self._worker = Child("the worker process", self._start_worker)
        self._web = Child("the web server", self._start_web)
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
        self._signals = Signals(signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        if self.service.settings.redis_url == f"unix://{socket_path(self.service.home.path)}":
            self._redis.pid = redis_server.start(self.service.home.path)
            self._family.add(self._redis)
        self._family.add(self._worker)
        self._family.add(self._web)
        deadline = time.monotonic() + _START
        self._family.tend()
        while not _answers(*self._listener.getsockname()[:2]):
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
            self._signals.wait(self._family.tend())
        self._drain()
        self._end()
        return 0

    def _hear(self) -> bool:
        assert self._signals is not None
        told = (signal.SIGTERM, signal.SIGINT)
        self._stops += sum(number in told for number in self._signals.take())
        return self._stops > 0

    def _drain(self) -> None:
        """Wait for the attempts; the web server goes on answering meanwhile."""
        assert self._signals is not None
        self._worker.stop()
        hurried, next_word = False, 0.0
        while self._worker.pid is not None or self._adopted():
            if time.monotonic() > next_word and not hurried:
                _say_what_runs(self.service)
                next_word = time.monotonic() + _REPEAT
            self._signals.wait(min(self._family.tend(), 1.0))
            self._hear()
            if self._stops > 1 and not hurried:
                hurried = True
                click.echo("Stopping the attempts; their jobs continue at the next start.")
                self._worker.send(STOP)
                self._stop_adopted()
            self._family.bury()

    def _end(self) -> None:
        """End web server and Redis, in this order."""
        self._stop_adopted()
        for child, number in ((self._worker, STOP), (self._web, signal.SIGTERM)):
            child.stop(number)
        self._wait_for(self._worker, self._web)
        self._redis.stop()
        self._wait_for(self._redis)

    def _wait_for(self, *children: Child) -> None:
        assert self._signals is not None
        deadline = time.monotonic() + _END
        while any(child.pid is not None for child in children):
            self._signals.wait(0.2)
            self._hear()
            self._family.bury()
            if time.monotonic() > deadline:
                for child in children:
                    child.send(signal.SIGKILL)

    def _adopted(self) -> list[int]:
        """Give the slots that a worker process has left when it died, and their horses."""
        return self._family.adopted(self._worker_argv)

    def _stop_adopted(self) -> None:
        for pid in self._adopted():
            with suppress(ProcessLookupError):
                os.kill(pid, STOP)

    def _start_worker(self) -> int:
        return spawn(self._worker_argv, death=STOP)

    def _start_web(self) -> int:
        descriptor = self._listener.fileno()
        os.set_inheritable(descriptor, True)
        argv = ["-m", "webapp.cli.web", "--fd", str(descriptor)]
        return spawn([sys.executable, *argv], death=signal.SIGTERM)


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


def listen(host: str, port: int) -> socket.socket:
    """Listen at an address.

    Raises
    ------
    CannotStart
        If it is taken, or not one of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        system = error.errno is not None and error.errno > 0  # else the name cannot be resolved
        reason = os.strerror(error.errno or 0) if system else error.strerror
        raise CannotStart(
            f"Cannot listen on {host} port {port}: {reason}. Choose another port: --port N, or 0 "
            "for any free one."
        ) from error


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - it is compared
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _answers(host: str, port: int) -> bool:
    connection = HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _say_what_runs(service: Service) -> None:
    query = select(Job.id, Job.type).where(Job.status.in_(("running", "stopping")))
    try:
        with service.db.read() as session:
            found = session.execute(query.order_by(Job.id).limit(20)).all()
    except DatabaseAway:
        return
    if found:
        listed = ", ".join(f"{job_id} ({type_name})" for job_id, type_name in found)
        click.echo(f"Waiting for {listed}. Once more Ctrl-C stops what runs.")
