"""``/jobs/{id}/files``: results, inputs, logs and the request of a job; nothing else, ever."""

from __future__ import annotations

import mimetypes
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from apiflask import APIBlueprint
from flask import Response, current_app
from sqlalchemy import select
from zipstream import ZIP_DEFLATED, ZipStream  # type: ignore[import-untyped, unused-ignore]

from runner import sub_jobs
from runner.errors import NotFound
from runner.jobdir import SUB_JOBS, JobDirectory
from runner.redact import MaskedFile
from webapp.api import auth, checksums, masking, ranges, reading, removed
from webapp.api.masking import Opener
from webapp.api.openapi import Responses
from webapp.api.schemas import ArtifactOut
from webapp.api.schemas_reading import FileIn, FileOut, FilesOut
from webapp.models import Artifact

FOLDERS = ("input", "results", "logs")
REQUEST = "job.yaml"
# What is shown in a browser; all else is saved. None of it can run scripts, see _POLICY.
_SHOWN = {"text/html", "text/plain", "application/json", "image/svg+xml"}
_SHOWN |= {"image/png", "image/jpeg", "image/gif", "image/webp"}
# A report is written by code of others: it gets an origin of its own, no script and no network.
_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_TYPES = {".yaml": "text/plain", ".yml": "text/plain", ".log": "text/plain", ".md": "text/plain"}
_TYPES |= {".parquet": "application/vnd.apache.parquet", ".jsonl": "application/x-ndjson"}
_ZIPPED_ALREADY = {".zip", ".gz", ".xz", ".zst", ".xlsx", ".png", ".jpg", ".parquet"}
_BINARY = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
_FILE: Responses = {
    200: {"description": "The file; its ETag is its checksum.", "content": {"*/*": _BINARY}},
    206: {"description": "The part that was asked for.", "content": {"*/*": _BINARY}},
    304: {"description": "It is as the one that is known already."},
    410: {"description": removed.RESPONSE},
    416: {"description": "The file has no such part."},
}
_ZIP: Responses = {200: {"description": "A zip.", "content": {"application/zip": _BINARY}}}
blueprint = APIBlueprint("files", __name__, tag="files")


@blueprint.get("/jobs/<job_id>/files")
@blueprint.output(FilesOut)
def list_files(job_id: str) -> FilesOut:
    """List the files of a job: its results with their checksums, and what else can be fetched.

    Those of its sub-jobs are among them, below `sub_jobs/NAME/`.
    """
    job = auth.readable(job_id)
    directory = reading.directory(job)
    others = [
        FileOut(path=path, bytes=size, url=url_of(job.id, path))
        for path, size in (_sizes(directory) if directory else ())
        if _kind(path) != "results"
    ]
    items = artifacts(job.id)
    for part in sub_jobs.directories(directory) if directory else ():
        folder = f"{SUB_JOBS}/{part.path.name}"
        items += [a.model_copy(update={"path": f"{folder}/{a.path}"}) for a in artifacts(part.id)]
    return FilesOut(items=items, others=others, zip=f"/api/v1/jobs/{job.id}/files.zip")


@blueprint.get("/jobs/<job_id>/files/<path:path>")
@blueprint.input(FileIn, location="query", arg_name="query")
@blueprint.doc(responses=_FILE)
def get_file(job_id: str, path: str, query: FileIn) -> Response:
    """Fetch a file of a job, or a part of it (header `Range`).

    Its ETag is its SHA-256, so that `If-None-Match` fetches nothing twice; that of a log is the
    state it is in.
    """
    job = auth.readable(job_id)
    directory = reading.directory(job)
    found = _place(directory, path) if directory else None
    if directory is None or found is None:
        removed.refuse(job, _kind(path))
        raise NotFound(f"Job {job.id} has no file {path} that can be fetched.")
    kind = _type_of(path)
    etag = None if _kind(path) == "logs" else checksums.of(auth.service(), job, directory, path)
    stream = _opened(found, path, masking.opener(job))
    response = ranges.answer(stream, etag=etag, mimetype=kind)
    shown = kind in _SHOWN and not query.download
    _name(response, found.name, "inline" if shown else "attachment")
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@blueprint.get("/jobs/<job_id>/files.zip")
@blueprint.doc(responses=_ZIP)
def get_zip(job_id: str) -> Response:
    """Fetch all files of a job as a zip: request, inputs, results and logs; with its sub-jobs."""
    job = auth.readable(job_id)
    directory = reading.directory(job)
    if directory is None:
        raise NotFound(f"The files of job {job.id} are gone.")
    response = current_app.response_class(
        _zip(directory, masking.opener(job)), mimetype="application/zip"
    )
    _name(response, f"{job.id}.zip", "attachment")
    return response


def artifacts(job_id: str) -> list[ArtifactOut]:
    """Give the result files of a job as they were when its last attempt ended."""
    query = select(Artifact).where(Artifact.job_id == job_id).order_by(Artifact.path)
    with auth.service().db.read() as session:
        return [
            ArtifactOut(path=a.path, bytes=a.bytes, sha256=a.sha256, url=url_of(job_id, a.path))
            for a in session.scalars(query)
        ]


def url_of(job_id: str, path: str) -> str:
    """Give the URL of a file of a job."""
    return f"/api/v1/jobs/{job_id}/files/{quote(path)}"


def _own(path: str) -> list[str]:
    """Give the parts of a path in the job, or sub-job, that the file is of."""
    parts = path.split("/")
    return parts[2:] if parts[0] == SUB_JOBS else parts


def _kind(path: str) -> str:
    """Give the folder of the job, or sub-job, that a file lies in."""
    return next(iter(_own(path)), "")


def _place(directory: JobDirectory, path: str) -> Path | None:
    """Give the file that `path` names, if it may be fetched: no link, nothing hidden."""
    own, root = _own(path), directory.whole.path
    if own != [REQUEST] and (len(own) < 2 or own[0] not in FOLDERS):
        return None
    parts = [*directory.path.relative_to(root).parts, *path.split("/")]
    if any(part.startswith(".") or not part for part in parts):  # also . and ..
        return None
    found = root.joinpath(*parts)
    try:
        is_own = found.resolve(strict=True) == root.resolve().joinpath(*parts)
    except (OSError, RuntimeError):  # not there; a name that is too long; a ring of links
        return None
    return found if is_own and found.is_file() else None


def _walk(directory: JobDirectory) -> Iterator[str]:
    for place in (directory, *sub_jobs.directories(directory)):
        found = [place.path / REQUEST]
        for name in FOLDERS:
            found += sorted((place.path / name).rglob("*"))
        for path in found:
            yield path.relative_to(directory.path).as_posix()


def _sizes(directory: JobDirectory) -> Iterator[tuple[str, int]]:
    """Give the files that may be fetched, and their sizes in bytes."""
    for path in _walk(directory):
        if found := _place(directory, path):
            yield path, found.stat().st_size


def _opened(file: Path, path: str, opened: Opener) -> MaskedFile:
    """Open a file of a job: only logs are masked, for other files are what somebody made."""
    return opened(file) if _kind(path) == "logs" else MaskedFile(file, ())


def _zip(directory: JobDirectory, opened: Opener) -> Iterator[bytes]:
    packed = ZipStream(compress_type=ZIP_DEFLATED, compress_level=1)
    for path, size in _sizes(directory):
        stored = 0 if Path(path).suffix.lower() in _ZIPPED_ALREADY else None
        place, name = directory.path / path, f"{directory.id}/{path}"
        if _kind(path) == "logs":
            packed.add(ranges.Window(opened(place), size), name, compress_level=stored)
        else:
            packed.add_path(place, name, compress_level=stored)
    yield from packed


def _type_of(path: str) -> str:
    guessed, encoding = mimetypes.guess_type(path)
    if encoding:
        return "application/gzip" if encoding == "gzip" else "application/octet-stream"
    return _TYPES.get(Path(path).suffix.lower(), guessed or "application/octet-stream")


def _name(response: Response, name: str, disposition: str) -> None:
    """Say under which name to save it, for old clients in ASCII."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = "".join(c for c in plain if c.isprintable() and c not in '"\\')
    exact = quote(name, safe="")
    response.headers["Content-Disposition"] = (
        f"{disposition}; filename=\"{plain or 'file'}\"; filename*=UTF-8''{exact}"
    )
