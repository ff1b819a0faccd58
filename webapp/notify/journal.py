"""What was acknowledged, written down at once: before the row says so, and before anything else.

A receiver that has said yes must not get the same again, whenever the notifier dies. Its answer is
therefore in a file of the home before the connection is used any further, and before the database
is asked to keep it.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
from dataclasses import astuple, dataclass
from pathlib import Path

from runner.files import sync

log = logging.getLogger(__name__)
_LARGEST = 256_000  # bytes; then it is begun anew, as soon as the rows have all of it


@dataclass(frozen=True)
class Acknowledgement:
    """Who has taken a delivery.

    Attributes
    ----------
    key : str
        Of the delivery.
    accepted : tuple of str
        The recipients.
    detail : str
        What was said.
    """

    key: str
    accepted: tuple[str, ...]
    detail: str


class Journal:
    """The acknowledgements that the rows may not have yet. Only who holds the lease may have one.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        new = not path.exists()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if new:
            sync(path.parent)
        self._lock = threading.Lock()
        self._pending: dict[str, Acknowledgement] = {}

    def read(self) -> list[Acknowledgement]:
        """Give what an earlier notifier has left; a line cut off by its death is taken back."""
        content = os.pread(self._file, os.fstat(self._file).st_size, 0)
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.ftruncate(self._file, len(whole))
        found = []
        for line in whole.splitlines():
            try:
                key, accepted, detail = json.loads(line)
            except ValueError:  # a disk that lied
                continue
            found.append(Acknowledgement(key, tuple(accepted), detail))
        return found

    def write(self, acknowledgement: Acknowledgement) -> None:
        """Keep an acknowledgement, whatever happens from now on."""
        line = json.dumps(list(astuple(acknowledgement))).encode() + b"\n"
        with self._lock:
            self._pending[acknowledgement.key] = acknowledgement
            size = os.fstat(self._file).st_size
            try:
                if os.write(self._file, line) != len(line):
                    raise OSError(errno.ENOSPC, "No space left on device")
                os.fdatasync(self._file)
            except OSError as error:  # the row may still take it; if not, a death now repeats it
                os.ftruncate(self._file, size)
                log.error("an acknowledgement could not be written down: %s", error)

    def pending(self, key: str) -> Acknowledgement | None:
        """Give what was acknowledged of a delivery, but its row could not be told yet."""
        return self._pending.get(key)

    def done(self, key: str) -> None:
        """Say that the row has it."""
        with self._lock:
            self._pending.pop(key, None)
            if not self._pending and os.fstat(self._file).st_size > _LARGEST:
                os.ftruncate(self._file, 0)

    def clear(self) -> None:
        """Say that the rows have all of it."""
        with self._lock:
            self._pending.clear()
            os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Leave it to the next one."""
        os.close(self._file)
