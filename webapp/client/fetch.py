"""Files on their way from the service."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from webapp.client.connection import Connection, Incomplete, Tries

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_DIGITS = 64  # of a SHA-256


class Body(io.RawIOBase):
    """The body of an answer, as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer, as far as something has come."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        room = memoryview(buffer).cast("B")
        size = min(len(room), len(self._rest))
        room[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def download(
    connection: Connection,
    address: str,
    target: Path,
    progress: Callable[[int, int], None] | None,
) -> Path:
    """Fetch a file into `target`, whole or not at all; see `Client.download`."""
    tries = Tries(connection.patience)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.absolute().parent)
    os.close(handle)
    draft = Path(name)
    try:
        while True:
            try:
                _fetch(connection, address, draft, progress)
                break
            except Incomplete:
                wait = tries.next()
                if wait is None:
                    raise
                time.sleep(wait)
        draft.chmod(0o644)
        return draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _fetch(
    connection: Connection,
    address: str,
    target: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    digest, size = hashlib.sha256(), 0
    with connection.stream("GET", address) as response, target.open("wb") as stream:
        total = int(response.headers.get("Content-Length") or 0)
        for piece in response.iter_bytes():
            digest.update(piece)
            stream.write(piece)
            size += len(piece)
            if progress is not None:
                progress(size, total)
        wanted = response.headers.get("ETag", "").strip('"')
    # that of a log, which may grow, is none
    if len(wanted) == _DIGITS and wanted != digest.hexdigest():
        raise Incomplete(f"{address} came with another checksum than the service says. Try again.")
