"""The leader: the process that runs Snakemake for an attempt and holds the directory's lock."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from runner.command import die_with_parent
from runner.errors import JobBusy
from runner.files import now


def lock_file(job: Path) -> Path:
    """Give the path of the lock that the leader of a job directory holds."""
    return job / "attempts" / "leader.lock"


def acquire(job: Path, grace: float = 1.0) -> int:
    """Take the leader's lock; the kernel frees it when its last holder dies, and only then.

    Parameters
    ----------
    job : Path
        The job directory.
    grace : float
        Seconds to wait for it: a leader that was just killed holds it until it is taken down.

    Returns
    -------
    int
        The open file descriptor that holds it.

    Raises
    ------
    JobBusy
        If a living leader holds it.
    """
    path = lock_file(job)
    path.parent.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + grace
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            os.close(descriptor)
            holder = _holder(path)
            raise JobBusy(
                f"An attempt is running in {job}: number {holder.get('attempt', '?')}, process "
                f"{holder.get('pid', '?')} on {holder.get('host', '?')}, since "
                f"{holder.get('since', '?')}. Wait for it, or stop it first."
            )
        time.sleep(0.02)  # flock has no time limit of its own
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_alive(job: Path) -> bool:
    """Tell whether a leader holds the lock of a job directory."""
    if not lock_file(job).exists():
        return False
    try:
        os.close(acquire(job, grace=0))
    except JobBusy:
        return True
    return False


def fork(
    lock: int,
    attempt: int,
    run: Callable[[], int],
    *,
    log: Path,
    environment: Mapping[str, str],
) -> int:
    """Start the leader: own session and process group, output to `log`, dying with this process.

    Parameters
    ----------
    lock : int
        The descriptor from `acquire`. It is the leader's afterwards, and closed here.
    attempt : int
        Number of the attempt, for whoever meets the lock.
    run : callable
        What the leader does; gives its exit code.
    log : Path
        Receives everything it prints, at its end.
    environment : mapping
        Its whole environment.

    Returns
    -------
    int
        Pid of the leader, which is also its process group and session.
    """
    pid = fork_detached()
    if pid:
        os.close(lock)
        return pid
    lead(lock, attempt, run, log=log, environment=environment)


def fork_detached() -> int:
    """Fork a process in a session and group of its own that dies with this one.

    Returns
    -------
    int
        As ``os.fork``: the pid, or 0 in the new process.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        _die_with(parent)
    return pid


def lead(
    lock: int,
    attempt: int,
    run: Callable[[], int],
    *,
    log: Path,
    environment: Mapping[str, str],
) -> NoReturn:
    """Be the leader until the end of the process; parameters as for `fork`."""
    code = 70
    try:
        _sign(lock, attempt)
        _redirect(log)
        os.environ.clear()
        os.environ.update(environment)
        code = run()
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with(parent: int) -> None:
    """End the whole group when the supervisor dies, and hear interrupts as a fresh process would.

    An RQ work horse ignores SIGINT, and ignored signals are inherited.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR2, lambda *_: os.killpg(0, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    die_with_parent(signal.SIGUSR2)
    if os.getppid() != parent:  # it died before the kernel was asked
        os._exit(70)


def _sign(lock: int, attempt: int) -> None:
    text = {"attempt": attempt, "pid": os.getpid(), "host": socket.gethostname(), "since": now()}
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(text).encode() + b"\n", 0)


def _holder(path: Path) -> dict[str, Any]:
    try:
        text = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return text if isinstance(text, dict) else {}


def _redirect(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
