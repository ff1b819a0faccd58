"""A worker process that becomes its own newer version."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable

from webapp.children import Errand, Family, spawn

_CHECK = "--check"

log = logging.getLogger(__name__)


class Renewal:
    """Replaces the program of this process, if the new one can work.

    The process stays, and with it its children: for whoever started it nothing has happened.

    Parameters
    ----------
    family : Family
        Takes in the process that finds out whether the new program can work.
    """

    def __init__(self, family: Family) -> None:
        self._family = family
        self._check: Errand | None = None
        self._again = False

    def begin(self) -> None:
        """Start to find out; if that is being done, once more after it."""
        if self._check is not None:
            self._again = True  # what is looked at may be older than what is installed now
            return
        argv = [sys.executable, *sys.orig_argv[1:], _CHECK]
        self._check = Errand("the new version", lambda: spawn(argv, death=signal.SIGTERM))
        self._again = False
        self._family.add(self._check)

    def go_on(self, before: Callable[[], object]) -> None:
        """Replace the program once it is known to work; call it now and then.

        Parameters
        ----------
        before : callable
            Called just before; it keeps signals for the new program.
        """
        if self._check is None or self._check.code is None:
            return
        works, self._check = self._check.code == 0, None
        if self._again:
            self.begin()
            return
        if not works:
            log.error("the new version of the worker cannot work (see above); this one goes on")
            return
        before()
        sys.stdout.flush()
        sys.stderr.flush()
        # with the same words: by them the new program knows the slots that are left
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - no shell is wanted
