"""Files on their way to the service: read in pieces, counted as they go."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from runner.errors import InvalidRequest

Progress = Callable[[int, int], None]


class Counter:
    """Tells how many bytes of all files are sent; a file that is sent again counts anew."""

    def __init__(self, tell: Progress) -> None:
        self._tell = tell
        self._files: list[Counted] = []

    def wrap(self, stream: BinaryIO, size: int) -> Counted:
        """Give a file that is counted."""
        self._files.append(Counted(stream, size, self.told))
        return self._files[-1]

    def told(self) -> None:
        """Tell how far all of them are."""
        total = sum(one.size for one in self._files)
        self._tell(sum(min(one.at, one.size) for one in self._files), total)


class Counted:
    """What httpx needs of a file."""

    def __init__(self, stream: BinaryIO, size: int, changed: Callable[[], None]) -> None:
        self._stream = stream
        self.size = size
        self.at = 0
        self._changed = changed

    def read(self, size: int = -1) -> bytes:
        """Give the next piece."""
        piece = self._stream.read(size)
        self.at += len(piece)
        self._changed()
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go elsewhere: to the beginning, if the request is sent again."""
        self.at = self._stream.seek(offset, whence)
        return self.at

    def tell(self) -> int:
        """Give where it is."""
        return self._stream.tell()

    def fileno(self) -> int:
        """Give the descriptor: httpx asks it for the size."""
        return self._stream.fileno()


@contextmanager
def form(
    document: Mapping[str, Any], inputs: Mapping[str, str | Path], progress: Progress | None
) -> Iterator[dict[str, Any]]:
    """Give the body of a submission, as options for httpx.

    Parameters
    ----------
    document : mapping
        The part ``request``; it goes first, so that a file that is too large is refused early.
    inputs : mapping
        Files by the name of their input.
    progress : callable, optional
        Called with the bytes that are sent, and those of all files.

    Raises
    ------
    InvalidRequest
        If a file cannot be read.
    """
    if not inputs:
        yield {"json": dict(document)}
        return
    counter = Counter(progress or (lambda _sent, _all: None))
    with ExitStack() as stack:
        files = {}
        for name, given in inputs.items():
            path = Path(given)
            try:
                stream = stack.enter_context(path.open("rb"))
                size = path.stat().st_size
            except OSError as error:
                message = f"{name}: {path} cannot be read: {error.strerror}."
                problem = {"pointer": f"/inputs/{name}", "message": message}
                raise InvalidRequest(message, [problem]) from error
            files[name] = (path.name, counter.wrap(stream, size), "application/octet-stream")
        yield {"data": {"request": json.dumps(dict(document))}, "files": files}
