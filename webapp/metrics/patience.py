"""Answers of somebody who may hang: a page of metrics must come while the database does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

from webapp.db import DatabaseAway

_AT_ONCE = 4  # questions of this process that may hang at the same time

_Answer = TypeVar("_Answer")
_free = threading.BoundedSemaphore(_AT_ONCE)


def within(seconds: float, ask: Callable[[], _Answer]) -> _Answer:
    """Ask the database in a thread of its own, which is left behind if it hangs.

    Parameters
    ----------
    seconds : float
        How long to wait for the answer.
    ask : callable
        What is asked.

    Raises
    ------
    DatabaseAway
        If there is none in time.
    """
    answers: SimpleQueue[tuple[_Answer | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            answers.put((ask(), None))
        except BaseException as error:
            answers.put((None, error))
        finally:
            _free.release()

    until = time.monotonic() + seconds
    if not _free.acquire(timeout=seconds):
        raise DatabaseAway("The database does not answer: earlier questions still wait.")
    threading.Thread(target=run, daemon=True).start()
    try:
        found, error = answers.get(timeout=max(0.0, until - time.monotonic()))
    except Empty:
        raise DatabaseAway(f"The database does not answer within {seconds:g} s.") from None
    if error is not None:
        raise error
    return found  # type: ignore[return-value]  # there is an answer where there is no error
