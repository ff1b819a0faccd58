"""A file, or a part of it, as an answer: byte ranges, strong ETags, constant memory."""

from __future__ import annotations

import os
from collections.abc import Iterator

from flask import Response, current_app, request

from runner.redact import MaskedFile

_CHUNK = 256 * 1024


class Shrunk(OSError):
    """A file that has become shorter while it was sent: the answer ends here, visibly cut off."""


class Window:
    """A file as it was when it was opened; what is appended meanwhile is not part of it.

    Parameters
    ----------
    stream : MaskedFile
        Open for reading; closed with the window.
    size : int
        Bytes of it.
    """

    def __init__(self, stream: MaskedFile, size: int) -> None:
        self._stream = stream
        self._size = size

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        left = self._size - self._stream.tell()
        if left <= 0:
            raise StopIteration
        piece = self._stream.read(min(_CHUNK, left))
        if not piece:
            raise Shrunk(f"{self._stream.name} has lost its last {left} bytes")
        return piece

    def seekable(self) -> bool:
        """Tell that a range need not be read up to."""
        return True

    def seek(self, position: int) -> int:
        """Go to a byte."""
        return self._stream.seek(position)

    def tell(self) -> int:
        """Give the number of the next byte."""
        return self._stream.tell()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def state_of(stat: os.stat_result) -> str:
    """Give what changes whenever a file does: for ETags of files that have no checksum."""
    return f"{stat.st_ino:x}-{stat.st_size:x}-{stat.st_mtime_ns:x}"


def answer(stream: MaskedFile, *, etag: str | None = None, mimetype: str) -> Response:
    """Give a file as the answer: 200, 206, 304 or 416.

    Parameters
    ----------
    stream : MaskedFile
        The file; it is closed with the answer.
    etag : str, optional
        Its checksum; its state by default.
    mimetype : str
        Its media type.
    """
    stat = os.fstat(stream.fileno())
    return _conditional(
        Window(stream, stat.st_size), stat.st_size, etag or state_of(stat), mimetype
    )


def nothing(mimetype: str) -> Response:
    """Answer for a file that will come, and is empty so far."""
    return _conditional(iter(()), 0, "empty", mimetype)


def _conditional(pieces: Iterator[bytes], size: int, etag: str, mimetype: str) -> Response:
    response = current_app.response_class(pieces, mimetype=mimetype, direct_passthrough=True)
    response.content_length = size
    response.set_etag(etag)
    response.headers["Cache-Control"] = "private, no-cache"  # may be kept, if asked for each time
    # other units than bytes, and several ranges, may be ignored: the whole is a right answer
    simple = request.range is None or (
        request.range.units == "bytes" and len(request.range.ranges) == 1
    )
    response.make_conditional(
        request.environ, accept_ranges=simple, complete_length=size if simple else None
    )
    return response
