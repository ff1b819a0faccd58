"""Forms (``multipart/form-data``, RFC 7578) taken apart as they come, in constant memory.

Not werkzeug's own decoder: it adds a byte to a file, or loses one, where the pieces that are read
happen to be cut within the line that ends the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from werkzeug.http import parse_options_header

_LONGEST_HEADER = 16 * 1024  # bytes of the header of a part, and of blanks after a boundary
_LONGEST_BOUNDARY = 200


@dataclass(frozen=True)
class Part:
    """Where a part begins; `filename` is None if it is no file."""

    name: str
    filename: str | None


@dataclass(frozen=True)
class Piece:
    """Some of the content of the part that began last."""

    data: bytes
    last: bool


class _State(Enum):
    PREAMBLE = auto()
    BOUNDARY = auto()  # the boundary itself was read, not yet what follows it
    HEADER = auto()
    CONTENT = auto()
    END = auto()


class Decoder:
    """Turns the pieces of a body into parts and pieces of their content.

    Parameters
    ----------
    boundary : str
        As the Content-Type of the body names it.

    Raises
    ------
    ValueError
        If that is none.
    """

    def __init__(self, boundary: str) -> None:
        if not boundary or not boundary.isascii() or len(boundary) > _LONGEST_BOUNDARY:
            raise ValueError("the Content-Type names no usable boundary")
        self._delimiter = b"\r\n--" + boundary.encode()
        self._buffer = bytearray(b"\r\n")  # the first boundary may be the very first line
        self._state = _State.PREAMBLE

    def feed(self, data: bytes) -> Iterator[Part | Piece]:
        """Take a piece of the body and give what is known by it.

        Raises
        ------
        ValueError
            If it is no form.
        """
        self._buffer += data
        while True:
            before = self._state
            if self._state in (_State.PREAMBLE, _State.CONTENT):
                piece = self._content()
                if before is _State.CONTENT and (piece.data or piece.last):
                    yield piece
            elif self._state is _State.BOUNDARY:
                self._after_boundary()
            elif self._state is _State.HEADER:
                if part := self._header():
                    yield part
            else:
                self._buffer.clear()  # what stands after the last boundary means nothing
            if self._state is before:
                return

    def close(self) -> None:
        """See that the form has come to its end.

        Raises
        ------
        ValueError
            If it has not.
        """
        if self._state is not _State.END:
            raise ValueError("it ends before its last boundary")

    def _content(self) -> Piece:
        end = self._buffer.find(self._delimiter)
        if end >= 0:
            self._state = _State.BOUNDARY
            return Piece(self._take(end, end + len(self._delimiter)), True)
        # the rest may be the beginning of a boundary
        end = max(0, len(self._buffer) - len(self._delimiter) + 1)
        return Piece(self._take(end, end), False)

    def _take(self, size: int, consumed: int) -> bytes:
        taken = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:consumed]
        return taken

    def _after_boundary(self) -> None:
        if self._buffer.startswith(b"--"):
            self._state = _State.END
            return
        end = self._find(b"\r\n")
        if end is not None:
            if self._buffer[:end].strip(b" \t"):
                raise ValueError("a line begins with the boundary, and is none")
            del self._buffer[:end]  # but for the line break: a header may be empty
            self._state = _State.HEADER

    def _header(self) -> Part | None:
        end = self._find(b"\r\n\r\n")
        if end is None:
            return None
        lines = self._take(end, end + 4).decode().split("\r\n")
        self._state = _State.CONTENT
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip().lower() == "content-disposition":
                kind, options = parse_options_header(value.strip())
                if kind == "form-data" and "name" in options:
                    return Part(options["name"], options.get("filename"))
        raise ValueError("a part has no Content-Disposition that names it")

    def _find(self, end: bytes) -> int | None:
        found = self._buffer.find(end, 0, _LONGEST_HEADER)
        if found < 0 and len(self._buffer) >= _LONGEST_HEADER:
            raise ValueError(f"the header of a part has more than {_LONGEST_HEADER:,} bytes")
        return None if found < 0 else found
