"""Files on their way in: streamed to disk, counted and checksummed, never held in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO

from flask import Request

from runner.errors import JobRunnerError
from runner.files import room_on_disk
from runner.inputs import Upload
from webapp.api import strict
from webapp.api.multipart import Decoder, Part, Piece
from webapp.api.scratch import check_room, new_folder

REQUEST = "request"  # the part with the JSON document; every other part is a file
_CHUNK = 256 * 1024
_LARGEST_DOCUMENT = 1_000_000  # bytes of the part `request`
_MOST_PARTS = 100
_LOOK_AGAIN = 64 * 1024 * 1024  # bytes after which the free space is looked at again

Limits = Callable[[bytes], Mapping[str, int]]


class TooLarge(JobRunnerError):
    """A body, or a file in it, with more bytes than are accepted."""

    code = "too_large"
    status = 413


class Unreadable(JobRunnerError):
    """A body that ends too early or is no multipart form."""

    code = "bad_request"
    status = 400


@dataclass
class Received:
    """What a request brought.

    Attributes
    ----------
    folder : Path
        Where its files lie, until the request is over; there is room for more in it.
    document : bytes or None
        The part ``request``.
    files : dict of str to Upload
        By the name of the input.
    problems : list of dict
        What is wrong with the parts.
    """

    folder: Path
    document: bytes | None = None
    files: dict[str, Upload] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)

    def refuse(self, pointer: str, message: str) -> None:
        """Note a problem."""
        self.problems.append({"pointer": pointer, "message": message})


@contextmanager
def receive(
    request: Request, uploads: Path, *, limit: int, reserve: int, limits: Limits
) -> Iterator[Received]:
    """Read a multipart request to its end; its files are gone after the block, if not moved.

    Parameters
    ----------
    request : Request
        What comes in.
    uploads : Path
        A folder on the file system of the job directories.
    limit : int
        Largest number of bytes of the whole body.
    reserve : int
        Bytes of disk that stay free.
    limits : callable
        Given the part ``request``, gives the largest size of each input.

    Raises
    ------
    TooLarge
        As soon as that is known: from ``Content-Length``, else once it was received.
    Unreadable
        If the client went away, or the body is no multipart form.
    DiskFull
        If the disk has no room.
    """
    expected = request.content_length
    if expected is not None and expected > limit:
        raise _too_large(limit)
    with new_folder(uploads, reserve, expected or 0) as folder:
        received = Received(folder)
        with room_on_disk(Path("the folder of uploads")):
            _Reader(received, limits, reserve).read(request, limit)
        yield received


@contextmanager
def receive_document(request: Request, uploads: Path, *, reserve: int) -> Iterator[Received]:
    """Read a request that is a JSON document alone; as `receive`.

    Raises
    ------
    DiskFull
        If the disk has no room for a job.
    """
    with new_folder(uploads, reserve) as folder:
        yield Received(folder, request.get_data())


class _Reader:
    """Takes a body apart as it comes."""

    def __init__(self, received: Received, limits: Limits, reserve: int) -> None:
        self._received = received
        self._limits = limits
        self._reserve = reserve
        self._sizes: Mapping[str, int] = {}
        self._document = bytearray()
        self._file: _Incoming | None = None
        self._in_document = False
        self._parts = 0

    def read(self, request: Request, limit: int) -> None:
        try:
            decoder = Decoder(request.mimetype_params.get("boundary", ""))
            for chunk in _chunks(request, limit, self._look_at_disk):
                for event in decoder.feed(chunk):
                    self._take(event)
            decoder.close()
        except ValueError as error:
            raise Unreadable(f"The body is no form that can be read: {error}.") from error
        finally:
            if self._file:
                self._file.close()

    def _look_at_disk(self) -> None:
        check_room(self._received.folder, self._reserve)

    def _take(self, event: Part | Piece) -> None:
        if isinstance(event, Part):
            self._begin(event)
        else:
            self._add(event.data)
            if event.last:
                self._end()

    def _begin(self, part: Part) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise TooLarge(f"The form has more than {_MOST_PARTS} parts.")
        self._in_document = part.name == REQUEST
        self._file = None
        if self._in_document:
            if self._received.document is not None:
                self._received.refuse("", "The part `request` comes twice.")
            self._document.clear()
        elif problem := _wrong_part(part, self._received.files):
            self._received.refuse(f"/inputs/{strict.printable(part.name)}", problem)
        else:
            path = self._received.folder / f"{self._parts}.part"
            size = self._sizes.get(part.name)
            self._file = _Incoming(part.name, part.filename or "", path, size)

    def _add(self, data: bytes) -> None:
        if self._in_document:
            self._document += data
            if len(self._document) > _LARGEST_DOCUMENT:
                raise TooLarge(f"The part `request` has more than {_LARGEST_DOCUMENT:,} bytes.")
        elif self._file:
            self._file.write(data)

    def _end(self) -> None:
        if self._in_document:
            self._received.document = bytes(self._document)
            self._sizes = self._limits(self._received.document)
            for name, upload in self._received.files.items():
                _check_size(name, upload.name, upload.bytes, self._sizes.get(name))
        elif self._file:
            upload = self._file.finish()
            if upload.name or upload.bytes:  # a browser sends a field that was left empty so
                self._received.files[self._file.name] = upload
        self._file, self._in_document = None, False


class _Incoming:
    """One file that is being received."""

    def __init__(self, name: str, filename: str, path: Path, limit: int | None) -> None:
        self.name = name
        self._filename = filename
        self._path = path
        self._limit = limit
        self._stream: BinaryIO = path.open("wb")
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        self._size += len(data)
        _check_size(self.name, self._filename, self._size, self._limit)
        self._digest.update(data)
        self._stream.write(data)

    def finish(self) -> Upload:
        self.close()
        return Upload(self._path, self._filename, self._digest.hexdigest(), self._size)

    def close(self) -> None:
        self._stream.close()


def _chunks(request: Request, limit: int, look: Callable[[], None]) -> Iterator[bytes]:
    """Give the body in pieces.

    Raises
    ------
    TooLarge
        If there is more than `limit` of it.
    """
    stream: IO[bytes] = request.stream
    total = looked = 0
    while chunk := stream.read(_CHUNK):
        total += len(chunk)
        if total > limit:
            raise _too_large(limit)
        if total - looked > _LOOK_AGAIN:
            looked = total
            look()
        yield chunk


def _wrong_part(part: Part, files: Mapping[str, Upload]) -> str | None:
    if not part.name or strict.flaw(part.name):
        return "a part of the form has no usable name; it must be that of an input"
    if part.filename is None:
        return f"{part.name}: it must be sent as a file, with a file name"
    if what := strict.flaw(part.filename):
        return f"{part.name}: the file name has {what} in it"
    return f"{part.name}: this input comes twice" if part.name in files else None


def _check_size(name: str, filename: str, size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        message = f"{name}: {filename} has more than the {limit:,} bytes that are accepted"
        raise TooLarge(message, [{"pointer": f"/inputs/{name}", "message": message}])


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body has more than the {limit:,} bytes that are accepted at once.")
