"""``/jobs/{id}/directory.tar`` and ``release.tar``: all that a job needs to go on elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apiflask import APIBlueprint
from flask import Response, current_app

from runner import archive, release
from runner.archive import Member
from runner.errors import NotFound
from runner.jobdir import JobDirectory
from runner.placing import RECORD
from webapp import jobs
from webapp.api import auth, reading
from webapp.api.openapi import Responses
from webapp.models import ENDED

MIMETYPE = "application/x-tar"
# Of Snakemake's own folder: who works there now, and what is made anew where it is needed.
_NOT_SNAKEMAKES = {"locks", "conda", "conda-archive", "singularity", "shadow"}
_BINARY = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
_TAR: Responses = {200: {"description": "A tar.", "content": {MIMETYPE: _BINARY}}}
_OF_ENDED: Responses = {**_TAR, 409: {"description": "The job has not ended."}}
blueprint = APIBlueprint("directory", __name__, tag="files")


@blueprint.get("/jobs/<job_id>/directory.tar")
@blueprint.doc(responses=_OF_ENDED)
def get_directory(job_id: str) -> Response:
    """Fetch the whole directory of a job that has ended, so that it can go on elsewhere.

    With work files, attempts, events and Snakemake's own records, and with the exact times by
    which Snakemake knows what is done; below a folder of the job's id. An answer that breaks off
    is worth nothing: the job was changed meanwhile. `jobrunner pull` uses it.
    """
    job = auth.readable(job_id)
    if job.status not in ENDED:
        raise jobs.Conflict(
            f"Job {job.id} is {job.status}. Its directory can be fetched once it has ended."
        )
    directory = reading.directory(job)
    if directory is None:
        raise NotFound(f"The files of job {job.id} are gone.")
    return _tar(_steady(directory), job.id, f"{job.id}.tar")


@blueprint.get("/jobs/<job_id>/release.tar")
@blueprint.doc(responses=_TAR)
def get_release(job_id: str) -> Response:
    """Fetch the release that a job runs: `workflow/` and `envs/`, below a folder `release`.

    Its digest is that in the job's `request`.
    """
    job = auth.readable(job_id)
    for found in auth.service().home.releases.all():
        if found.digest == job.digest:
            members = (
                Member(path.relative_to(found.folder).as_posix(), path)
                for path in release.files(found.folder)
            )
            return _tar(members, "release", f"{found.label}.tar")
    raise NotFound(f"Release {job.version} of job {job.id} is gone.")


def _tar(members: Iterable[Member], prefix: str, name: str) -> Response:
    response = current_app.response_class(archive.pack(members, prefix), mimetype=MIMETYPE)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _steady(directory: JobDirectory) -> Iterator[Member]:
    """Give what is in the directory, unless something happens to the job meanwhile."""
    before = directory.events.path.stat().st_size
    yield from archive.members(directory.path, _wanted)
    if directory.events.path.stat().st_size != before:
        raise archive.Changed(f"Job {directory.id} was changed while it was packed.")


def _wanted(path: str) -> bool:
    first, *further = path.split("/")
    if first == ".snakemake":
        return not further or further[0] not in _NOT_SNAKEMAKES
    if first == "attempts" and further:
        return not further[0].startswith(".") and not further[0].endswith(".lock")
    return not first.startswith(".") and path != RECORD
