"""Tells pages that something is new, by server-sent events."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from typing import Any

_QUIET = 15.0  # seconds after which a sign of life is sent, so that nobody in between hangs up
_WAITING = 1000  # messages that a page may be behind


class Changes:
    """Passes messages to all pages of a user."""

    def __init__(self) -> None:
        self._pages: dict[queue.Queue[Any], str] = {}
        self._lock = threading.Lock()

    def tell(self, user: str, message: dict[str, Any]) -> None:
        """Give a message to the pages of a user."""
        with self._lock:
            waiting = [page for page, owner in self._pages.items() if owner == user]
        for page in waiting:
            try:
                page.put_nowait(message)
            except queue.Full:  # it reads no longer; when it comes back, it asks for everything
                self._leave(page)

    def stream(self, user: str) -> Iterator[str]:
        """Give the messages for a user as they come, in the format of server-sent events."""
        page: queue.Queue[Any] = queue.Queue(_WAITING)
        with self._lock:
            self._pages[page] = user
        try:
            yield "retry: 1000\n\n"  # with this the headers go out: the page is heard from now on
            while page in self._pages:
                try:
                    message = page.get(timeout=_QUIET)
                except queue.Empty:
                    yield ": quiet\n\n"
                else:
                    yield f"event: job\ndata: {json.dumps(message)}\n\n"
        finally:
            self._leave(page)

    def _leave(self, page: queue.Queue[Any]) -> None:
        with self._lock:
            self._pages.pop(page, None)
