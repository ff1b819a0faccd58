"""The fence of a rule run: which of its submissions may work in the job directory, if any.

A rule run on SLURM has a folder that all hosts see::

    fence       number of the submission that counts, or "stop"; written by whoever submits
    turn        "SUBMISSION.RESTART" of the copy that may run; written by guards: SLURM starts a
                requeued job again by itself
    lock        held (flock) by the guard of a command for as long as anything of that lives
    start.json  who began last, where and when
    end.json    how the submission that counts has ended

Each file has one kind of writer, so that no two can undo each other; "stop" is taken back by a
further try of Snakemake only. All files are there from the beginning and are replaced or read as a
whole: a network file system answers the *opening* of a file that it knows truthfully, but may
remember for a minute that a name was not there.

The standard library only: guards run without any package, and have to start fast.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # the real one costs an import
    from collections.abc import Iterator
    from typing import Any

STOP = "stop"
VOID = 75  # exit code of a guard that must not, or no longer, run its command
_FILES = ("turn", "lock", "start.json", "end.json")

Identity = tuple[int, int]  # number of the submission, and how often SLURM has requeued it
Folder = str | os.PathLike[str]


def raise_to(folder: Folder, submission: int) -> None:
    """Let a further submission count, and no earlier one; call it before it is submitted.

    Parameters
    ----------
    folder : path
        Of the rule run; made if it is not there.
    submission : int
        1 for the first.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    os.makedirs(folder, exist_ok=True)
    for name in _FILES:
        os.close(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT, 0o644))
    write(folder, "fence", f"{submission}\n")


def stop(folder: Folder) -> None:
    """Let nothing of a rule run begin or go on; SLURM is not asked.

    Only a further try of the same attempt takes that back, with a submission of its own.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    write(folder, "fence", f"{STOP}\n")


def is_first(folder: Folder) -> bool:
    """Tell whether a rule run was submitted once only, and was not stopped."""
    return _read(folder, "fence").strip() == "1"


def void(folder: Folder, mine: Identity) -> str | None:
    """Say why a copy of a rule run must not work; None if it may.

    A copy that SLURM has requeued takes its turn by this.

    Parameters
    ----------
    folder : path
        Of the rule run.
    mine : Identity
        Who asks.
    """
    try:
        fence = _read(folder, "fence").strip()
        if fence == STOP or not fence:
            return "the rule run was stopped"
        if int(fence) > mine[0]:
            return f"the rule run was submitted again (submission {fence})"
        turn = _turn(folder)
        if turn > mine:
            return f"SLURM has started the rule run again (requeue {turn[1]})"
        if turn < mine:
            write(folder, "turn", f"{mine[0]}.{mine[1]}\n")
    except FileNotFoundError:  # somebody has removed the job
        return "its folder is gone"
    except OSError as error:  # a file server that is away: the command cannot write either
        if error.errno not in (errno.ESTALE, errno.EIO, errno.ETIMEDOUT):
            raise
    return None


def started(folder: Folder, submission: int) -> dict[str, Any] | None:
    """Give who began last: ``slurm_job``, ``submission``, ``restart``, ``host``, ``time``.

    None if that was a copy of an earlier submission.
    """
    found = _document(folder, "start.json")
    return found if found and found["submission"] >= submission else None


def ended(folder: Folder, submission: int) -> dict[str, Any] | None:
    """Give how a submission has ended: as `started`, and ``exit``, the exit code.

    None while it has not, and if SLURM ended it: only SLURM knows then why. An earlier submission
    counts if it succeeded, though it was thought lost.
    """
    found = _document(folder, "end.json")
    return found if found and (found["submission"] >= submission or found["exit"] == 0) else None


def write_document(folder: Folder, name: str, document: dict[str, Any]) -> None:
    """Write ``start.json`` or ``end.json``."""
    write(folder, name, json.dumps(document) + "\n")


def try_lock(folder: Folder, *, shared: bool = False) -> int | None:
    """Take the lock of a rule run.

    Parameters
    ----------
    folder : path
        Of the rule run.
    shared : bool
        To look whether it is free only.

    Returns
    -------
    int or None
        The open file descriptor that holds it; None if somebody else does.

    Raises
    ------
    OSError
        If the folder is gone, or its file system knows no locks.
    """
    descriptor = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_held(folder: Folder) -> bool:
    """Tell whether anything of a rule run lives, on whatever host."""
    try:
        descriptor = try_lock(folder, shared=True)
    except FileNotFoundError:
        return False
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def rule_runs(attempt: Folder) -> Iterator[str]:
    """Give the folders of the rule runs of an attempt; none if there is no such folder."""
    try:
        names = sorted(os.listdir(attempt))
    except FileNotFoundError:
        return
    for name in names:
        folder = os.path.join(attempt, name)
        if os.path.exists(os.path.join(folder, "fence")):
            yield folder


def write(folder: Folder, name: str, text: str) -> None:
    """Replace a file of a rule run as a whole."""
    path = os.path.join(folder, name)
    draft = os.path.join(folder, f".{name}.{os.uname().nodename}.{os.getpid()}")
    with open(draft, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(draft, path)


def _read(folder: Folder, name: str) -> str:
    with open(os.path.join(folder, name), encoding="utf-8") as stream:
        return stream.read()


def _turn(folder: Folder) -> Identity:
    first, _, second = _read(folder, "turn").strip().partition(".")
    return (int(first), int(second)) if second else (0, 0)


def _document(folder: Folder, name: str) -> dict[str, Any] | None:
    try:
        found = json.loads(_read(folder, name) or "null")
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None
