"""``/jobs/{id}/log``: text, parts of it, or as it is written; a worker elsewhere appends."""

from __future__ import annotations

import codecs
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from apiflask import APIBlueprint
from flask import Response, request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from runner.errors import InvalidRequest, NotFound
from runner.files import room_on_disk
from runner.jobdir import JobDirectory
from webapp import jobs
from webapp.api import auth, masking, ranges, reading, removed, streams
from webapp.api.masking import Opener
from webapp.api.openapi import Responses
from webapp.api.schemas_reading import LogIn, LogOut
from webapp.models import ENDED, Job
from webapp.queue import channel_of
from webapp.service import Service

TEXT = "text/plain"
LARGEST_PIECE = 4_000_000  # bytes that one request may append
_CHUNK = 64 * 1024
_LOOK = 0.5  # seconds between looks at a file that is being written
_PLACE = re.compile(r"([0-9a-f]{1,20})-(\d{1,18})", re.ASCII)
blueprint = APIBlueprint("log", __name__, tag="files")
_RESPONSES: Responses = {
    200: {
        "description": "The log so far; or a stream of it.",
        "content": {
            "text/plain": {"schema": {"type": "string"}},
            streams.MIMETYPE: {"schema": streams.SCHEMA},
        },
    },
    206: {
        "description": "The part that was asked for.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    },
    304: {"description": "It is as the one that is known already."},
    410: {"description": removed.RESPONSE},
    416: {"description": "The log has no such part (yet)."},
}
_BODY = {
    "required": True,
    "content": {"text/plain": {"schema": {"type": "string", "maxLength": LARGEST_PIECE}}},
}


@blueprint.get("/jobs/<job_id>/log")
@blueprint.input(LogIn, location="query", arg_name="query")
@blueprint.doc(responses=_RESPONSES)
def read(job_id: str, query: LogIn) -> Response:
    """Read the log of a job, or a part of it: `Range: bytes=-10000` gives its end.

    With `follow` the answer is a stream: events `log` with `text`, and `offset` where it ends;
    `restart` when the log is begun anew; `end` when the job has ended. A client that comes back
    sends `Last-Event-ID`.
    """
    job = auth.readable(job_id)
    directory = reading.directory(job)
    path, opened = _log(job, directory, query.stage), masking.opener(job)
    if not path.is_file():
        removed.refuse(job, "logs")
    if query.follow:
        place = _last_place(query.offset)
        reader = _Reader(path, opened, *place)
        return streams.answer(_follow(auth.service(), job.id, reader))
    return ranges.answer(opened(path), mimetype=TEXT) if path.is_file() else ranges.nothing(TEXT)


@blueprint.post("/jobs/<job_id>/log")
@blueprint.output(LogOut, status_code=201, description="It is appended.")
@blueprint.doc(
    responses={
        409: "A worker of this service has the job, or it is a sub-job.",
        507: "The disk is full.",
    },
    extensions={"requestBody": _BODY},
)
def append(job_id: str) -> LogOut:
    """Append text to the log of a job that is worked on elsewhere; whole or not at all."""
    job = auth.readable(job_id)
    auth.require("worker")
    jobs.refuse_part(auth.service(), job.id, "Tell of")
    if job.admitted is not None:
        raise jobs.Conflict(f"Job {job.id} has a slot in pool {job.pool}: its own worker runs it.")
    directory = reading.directory(job)
    if directory is None:
        raise NotFound(f"The files of job {job.id} are gone.")
    if request.mimetype != "text/plain":
        raise UnsupportedMediaType("The body must be text/plain, in UTF-8.")
    with room_on_disk(directory.path), SpooledTemporaryFile(max_size=1 << 20) as piece:
        size = _receive(cast(BinaryIO, piece))
        piece.seek(0)
        whole = _append(cast(BinaryIO, piece), directory.logs / "job.log")
    auth.service().queue.publish(channel_of(job.id))
    return LogOut(bytes=size, size=whole)


def _receive(piece: BinaryIO) -> int:
    """Take the body; if the client goes away in the middle, nothing has been written yet."""
    size, decoder = 0, codecs.getincrementaldecoder("utf-8")()
    while chunk := request.stream.read(_CHUNK):
        size += len(chunk)
        if size > LARGEST_PIECE:
            raise RequestEntityTooLarge(f"At most {LARGEST_PIECE:,} bytes at once.")
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"The text is not UTF-8: {error.reason}.") from error
        piece.write(chunk)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InvalidRequest("The text ends in the middle of a character.") from error
    return size


def _append(piece: BinaryIO, log: Path) -> int:
    log.parent.mkdir(exist_ok=True)
    with log.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # pieces of two requests do not mix
        before = os.fstat(stream.fileno()).st_size
        try:
            shutil.copyfileobj(piece, stream)
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.ftruncate(stream.fileno(), before)
            raise
        return os.fstat(stream.fileno()).st_size


def _log(job: Job, directory: JobDirectory | None, stage: str | None) -> Path:
    if directory is None:
        raise NotFound(f"The files of job {job.id} are gone.")
    placed = JobDirectory(auth.service().path(job), directory.config)  # where it is going to be
    if stage is None:
        return placed.logs / "job.log"
    known = reading.catalogue().job_type(job.digest, job.type)
    names = known.stage_names if known else [path.stem for path in directory.logs.glob("*.log")]
    if stage not in names:
        raise NotFound(f"Job {job.id} has no stage {stage!r}. It has: {', '.join(names)}.")
    folder, name = placed.of_stage(stage)
    return folder / "logs" / f"{name}.log"


def _last_place(offset: int) -> tuple[str | None, int]:
    """Give the file (by its inode) and the byte at which a stream ended, or begins."""
    given = request.headers.get("Last-Event-ID", "").strip()
    if not given:
        return None, offset
    if match := _PLACE.fullmatch(given):
        return match[1], int(match[2])
    text = "Last-Event-ID must be one that this stream has sent"
    raise InvalidRequest(text, [{"pointer": "/Last-Event-ID", "in": "header", "message": text}])


class _Reader:
    """Reads what is new in a file that is written, removed, or begun anew meanwhile."""

    def __init__(self, path: Path, opened: Opener, inode: str | None, offset: int) -> None:
        self._path = path
        self._open = opened
        self._inode = inode
        self.offset = offset

    @property
    def place(self) -> str:
        """Where it is; the id of what was sent last."""
        return f"{self._inode or '0'}-{self.offset}"

    def begun_anew(self) -> bool:
        """Tell whether it is no longer the file that was read; if so, go to its beginning."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return False
        inode = f"{stat.st_ino:x}"
        known, self._inode = self._inode, inode
        if (known in (None, "0", inode)) and stat.st_size >= self.offset:
            return False
        self.offset = 0
        return True

    def pieces(self, last: bool) -> Iterator[str]:
        """Give what is new, as whole characters unless it is the last; `offset` goes with it."""
        with suppress(FileNotFoundError), self._open(self._path) as stream:
            stream.seek(self.offset)
            while data := stream.read(_CHUNK):
                cut = len(data) if last else _whole_characters(data)
                if not cut:
                    return
                self.offset += cut
                stream.seek(self.offset)
                yield data[:cut].decode(errors="replace")


def _whole_characters(data: bytes) -> int:
    """Give how many bytes there are up to a character that is still being written."""
    for back in range(1, min(4, len(data)) + 1):
        lead = data[-back]
        if lead >= 0b1100_0000:
            needed = 4 if lead >= 0b1111_0000 else 3 if lead >= 0b1110_0000 else 2
            return len(data) - back if back < needed else len(data)
        if lead < 0b1000_0000:
            break
    return len(data)


def _follow(service: Service, job_id: str, reader: _Reader) -> Iterator[str]:
    pulse = streams.Pulse()
    with service.queue.subscribe(channel_of(job_id)) as subscription:
        while not pulse.over:
            with service.db.read() as session:  # before the file: what it wrote last is there then
                job = session.get(Job, job_id)
            ended = job is None or job.status in ENDED
            if reader.begun_anew():
                pulse.sent()
                yield streams.message({"offset": 0}, "restart", reader.place)
            for text in reader.pieces(last=ended):
                pulse.sent()
                data = {"text": text, "offset": reader.offset}
                yield streams.message(data, "log", reader.place)
            if ended:
                status = job.status if job else "deleted"
                yield streams.message({"status": status}, "end", reader.place)
                return
            subscription.wait(min(_LOOK, pulse.left), *streams.ends())
            yield from pulse.beat()
