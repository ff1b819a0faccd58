"""What happened to a job: ``events.jsonl``, append-only, one event a line."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from runner.files import now

Event = dict[str, Any]
_TAIL = 1 << 16


class EventLog:
    """The events of one job, numbered without gaps however many processes write.

    Parameters
    ----------
    path : Path
        The file ``events.jsonl``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, kind: str, *, source: str, attempt: int | None = None, **data: Any) -> Event:
        """Write one event and give it back.

        Parameters
        ----------
        kind : str
            ``status``, ``attempt``, ``stage``, ``progress``, ``log`` or ``note``.
        source : str
            Who says so: ``runner``, ``snakemake``, a worker, a person.
        attempt : int, optional
            Number of the attempt it belongs to.
        **data
            What there is to say; None is left out.

        Raises
        ------
        OSError
            If it cannot be written. A line is written whole or, on a full disk, taken back.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = _end_of_last_line(descriptor)
            event: Event = {
                "n": _last_number(descriptor, size) + 1,
                "time": data.pop("time", now()),
            }
            event |= {"attempt": attempt, "source": source, "kind": kind}
            event |= {key: value for key, value in data.items() if value is not None}
            text = json.dumps(event, ensure_ascii=False, default=str)
            line = text.encode(errors="replace") + b"\n"  # half a character becomes "?"
            try:
                if os.write(descriptor, line) != len(line):
                    raise OSError(28, "No space left on device", str(self.path))
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        return event

    def read(self, since: int = 0) -> Iterator[Event]:
        """Give the events with a number above `since`, oldest first.

        A line that is still being written, or was cut off by a crash, is left out.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as stream:
            for line in stream:
                if line.endswith(b"\n") and (event := _parse(line)) and event["n"] > since:
                    yield event

    def tail(self, offset: int = 0) -> tuple[list[Event], int]:
        """Give the events that stand behind byte `offset`, and where the last of them ends.

        As `read`, for whoever comes back for more: nothing is read twice.
        """
        events = []
        with self.path.open("rb") as stream:
            stream.seek(offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                offset += len(line)
                if event := _parse(line):
                    events.append(event)
        return events, offset

    def follow(
        self, since: int = 0, *, ended: Callable[[], bool], interval: float = 0.1
    ) -> Iterator[Event]:
        """Give events as they are written, until `ended` says so and all were given.

        Parameters
        ----------
        since : int
            Number after which to begin.
        ended : callable
            Asked whenever there is nothing new.
        interval : float
            Seconds between looks at the file.
        """
        while True:
            last_look = ended()
            for event in self.read(since):
                since = event["n"]
                yield event
            if last_look:
                return
            time.sleep(interval)


def _parse(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("n"), int) else None


def _end_of_last_line(descriptor: int) -> int:
    """Cut off a line that a crash left unfinished and give the size that remains."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _TAIL, max(0, size - _TAIL))
    if not tail or tail.endswith(b"\n"):
        return size
    size -= len(tail) - (tail.rfind(b"\n") + 1)
    os.ftruncate(descriptor, size)
    return size


def _last_number(descriptor: int, size: int) -> int:
    start = max(0, size - _TAIL)
    tail = os.pread(descriptor, size - start, start)
    for line in reversed(tail.splitlines()):
        if event := _parse(line):
            return int(event["n"])
    return 0
