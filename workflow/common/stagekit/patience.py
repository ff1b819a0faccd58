"""Waiting for a server that does not answer: it may be starting, or the network may come back.

Needs nothing but Python.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from stagekit.problems import StageError

WAIT_VARIABLE = "JOBRUNNER_PLATFORM_WAIT"
WAIT_SECONDS = 60.0
FIRST_PAUSE = 0.5  # seconds, doubled with each try
LONGEST_PAUSE = 15.0
# what a PostgreSQL server that is there answers only for a while
_PASSING = re.compile(
    r"starting up|shutting down|recovery|not yet accepting|too many (clients|connections)"
    r"|connection slots|terminating connection"
)

_T = TypeVar("_T")


def platform_wait() -> float:
    """Give the seconds for which a platform that does not answer is tried again.

    Raises
    ------
    StageError
        ``bad_setting`` if the environment variable holds no such number.
    """
    text = os.environ.get(WAIT_VARIABLE) or str(WAIT_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise StageError(
            "bad_setting", f"{WAIT_VARIABLE} is {text!r}: it must be seconds, 0 to 86400."
        )
    return seconds


def unanswered(text: str) -> bool:
    """Tell from what a PostgreSQL connection said whether trying again may help.

    A server that answers says FATAL in any language: a wrong login, a database that is not there.
    """
    return "FATAL" not in text or _PASSING.search(text) is not None


def keep_trying(
    attempt: Callable[[], _T],
    worth: Callable[[Exception], bool],
    wait: float | None = None,
    what: str = "the platform",
) -> _T:
    """Call `attempt` until it succeeds, with growing pauses.

    Parameters
    ----------
    attempt : callable
        What may fail.
    worth : callable
        Whether it is worth trying again after an error; others are raised at once.
    wait : float, optional
        Seconds after which no further try begins; `platform_wait` if not given.
    what : str
        What cannot be reached, for people.

    Returns
    -------
    object
        What `attempt` gives.

    Raises
    ------
    Exception
        The last error.
    """
    deadline = time.monotonic() + (platform_wait() if wait is None else wait)
    pause = FIRST_PAUSE
    while True:
        try:
            return attempt()
        except Exception as error:
            left = deadline - time.monotonic()
            if left <= 0 or not worth(error):
                raise
            # jitter: jobs that lost the server together should not come back together
            seconds = min(pause * random.uniform(0.75, 1.25), left)  # noqa: S311
        print(f"{what} cannot be reached, trying again in {seconds:.1f} s", flush=True)
        time.sleep(seconds)
        pause = min(2 * pause, LONGEST_PAUSE)
