"""The events of a job as they happen, whatever becomes of the server meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from webapp.client.connection import Connection, Incomplete, Tries
from webapp.client.errors import ApiError
from webapp.client.models import ENDED, Event
from webapp.client.sse import messages

_SILENCE = 45.0  # seconds; the service says every 15 that it is still there
_POLL = 2.0  # seconds between questions, where there is no place for a stream
_STOOD = 10.0  # seconds after which a stream that breaks off was a good one
_POLLS = 5  # then it is asked for a stream again
_MIMETYPE = "text/event-stream"


def follow(connection: Connection, job_id: str, since: int) -> Iterator[Event]:
    """Give the events of a job after number `since`, until it has ended.

    Raises
    ------
    ApiError
        If the service refuses.
    ServerAway
        If it cannot be reached for as long as there is patience.
    """
    tries = Tries(connection.patience)
    last = 0.0

    def heard() -> None:
        nonlocal last
        last = time.monotonic()

    while True:
        before, began = since, time.monotonic()
        last = began
        try:
            for event in _stream(connection, job_id, since, heard):
                if event is None:
                    return
                since = event.n
                yield event
        except Incomplete:  # the server restarts, or a proxy has had enough: come back
            # patience is for a server that is away, not for a job of which nothing is heard
            if since != before or last - began > min(_STOOD, connection.patience):
                tries = Tries(connection.patience)
            wait = tries.next()
            if wait is None:
                raise
            time.sleep(wait)
        except ApiError as error:
            if error.code != "too_many_streams":
                raise
            ended = False
            for event in poll(connection, job_id, since, times=_POLLS):
                if event is None:
                    ended = True
                else:
                    since = event.n
                    yield event
            if ended:
                return


def read(connection: Connection, job_id: str, since: int) -> Iterator[Event]:
    """Give the events that there are after number `since`."""
    path = f"/jobs/{job_id}/events"
    while True:
        page = connection.ask("GET", path, params={"since": since})
        for document in page["items"]:
            yield event_of(document)
        since = page["next"]
        if not page["more"]:
            return


def poll(
    connection: Connection, job_id: str, since: int, times: int, pause: float = _POLL
) -> Iterator[Event | None]:
    """Ask for events from time to time; give None once the job has ended and all were given."""
    for _ in range(times):
        # the status before the events: if it is an end, all events up to it are there
        status = connection.ask("GET", f"/jobs/{job_id}")["status"]
        for event in read(connection, job_id, since):
            since = event.n
            yield event
        if status in ENDED:
            yield None
            return
        time.sleep(pause)


def event_of(document: dict[str, Any]) -> Event:
    """Make an event of an answer."""
    return Event(
        n=int(document["n"]),
        time=str(document.get("time", "")),
        kind=str(document.get("kind", "")),
        source=str(document.get("source", "")),
        attempt=document.get("attempt"),
        data=document,
    )


def _stream(
    connection: Connection, job_id: str, since: int, heard: Callable[[], None]
) -> Iterator[Event | None]:
    """Give events as they come; None is the end of the job. Each line is `heard`."""
    headers = {"Accept": _MIMETYPE, "Last-Event-ID": str(since)}
    timeout = httpx.Timeout(_SILENCE, connect=10.0)
    path = f"/jobs/{job_id}/events"
    with connection.stream("GET", path, headers=headers, timeout=timeout) as response:
        if not response.headers.get("Content-Type", "").startswith(_MIMETYPE):
            raise Incomplete(f"{connection.server} has no stream of events. Is it the service?")
        for message in messages(_noted(response.iter_lines(), heard)):
            if message.event == "end":
                yield None
                return
            yield event_of(json.loads(message.data))
    raise Incomplete(f"The stream of {connection.server} ended before the job did.")


def _noted(lines: Iterator[str], heard: Callable[[], None]) -> Iterator[str]:
    for line in lines:
        heard()
        yield line
