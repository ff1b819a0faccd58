"""Server-sent events: one shape, and never more streams than a web process has threads to spare."""

from __future__ import annotations

import json
import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Response, current_app, request

from runner.errors import JobRunnerError
from webapp.api import auth

MIMETYPE = "text/event-stream"
# What the OpenAPI document says of a stream: the shape of each of its events.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "For the header `Last-Event-ID`."},
        "event": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
HEARTBEAT = 15.0  # seconds; proxies close connections on which nothing moves for 30 or 60
LONGEST = 3600.0  # seconds; then the client comes back, and its token is looked at again
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_RECONNECT = "retry: 2000\n\n"


_end: int | None = None  # an event file descriptor of this process; it can be read at its end


def begin() -> None:
    """Have streams of this process, a new one, that `end_all` ends."""
    global _end  # noqa: PLW0603 - there is one per process, as there are signals
    _end = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def end_all() -> None:
    """End the streams of this process now: clients come back, and find its successor."""
    if _end is not None:
        os.eventfd_write(_end, 1)


def ends() -> tuple[int, ...]:
    """Give file descriptors that can be read once streams are to end."""
    return () if _end is None else (_end,)


class TooManyStreams(JobRunnerError):
    """A further stream would take a thread that other requests need."""

    code = "too_many_streams"
    status = 503


def wanted() -> bool:
    """Tell whether the request asks for a stream rather than for JSON."""
    return request.accept_mimetypes.best_match(["application/json", MIMETYPE]) == MIMETYPE


def message(data: Any, event: str | None = None, identifier: str | int | None = None) -> str:
    """Give one server-sent event, its data as JSON."""
    lines = [f"id: {identifier}"] if identifier is not None else []
    lines += [f"event: {event}"] if event is not None else []
    # JSON has no line break in it: one line of data
    return "\n".join([*lines, f"data: {json.dumps(data, ensure_ascii=False)}", "", ""])


def answer(messages: Iterable[str]) -> Response:
    """Give a stream of `messages` as the answer.

    Raises
    ------
    TooManyStreams
        If this process serves as many as it may: the caller should ask again, or poll.
    """
    places = _places()
    if not places.acquire(blocking=False):
        raise TooManyStreams(
            f"This server serves {auth.service().settings.max_streams} streams already. Try again "
            "later, or ask for JSON from time to time."
        )
    response = current_app.response_class(_begun(messages), mimetype=MIMETYPE, headers=_HEADERS)
    response.call_on_close(places.release)  # also if the client is gone before the first message
    return response


class Pulse:
    """Says when a stream was silent for too long, and when it has lasted long enough."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + LONGEST
        self._last = clock()

    @property
    def left(self) -> float:
        """Seconds until something must be sent."""
        return max(0.0, self._last + HEARTBEAT - self._clock())

    @property
    def over(self) -> bool:
        """Whether the stream should end."""
        ended = ends() and select.select(ends(), [], [], 0)[0]
        return bool(ended) or self._clock() >= self._end

    def beat(self) -> Iterator[str]:
        """Give a comment if nothing was sent for long: it also finds out dead clients."""
        if self.left == 0.0:
            self.sent()
            yield ": still here\n\n"

    def sent(self) -> None:
        """Note that something was sent."""
        self._last = self._clock()


def _begun(messages: Iterable[str]) -> Iterator[str]:
    yield _RECONNECT
    yield from messages


def _places() -> threading.BoundedSemaphore:
    kept = current_app.extensions
    if "jobrunner_streams" not in kept:
        number = auth.service().settings.max_streams
        kept.setdefault("jobrunner_streams", threading.BoundedSemaphore(number))
    places: threading.BoundedSemaphore = kept["jobrunner_streams"]
    return places
