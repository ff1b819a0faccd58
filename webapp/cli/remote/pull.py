"""The command ``pull``: a job of a service comes home, and goes on there without it."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
from rich.status import Status

from runner import archive, arrival, placing
from runner.archive import BrokenArchive
from runner.arrival import Missing
from runner.cli import document
from runner.cli.options import home_option
from runner.errors import InvalidRequest, NotFound
from runner.files import room_on_disk
from runner.home import Home
from runner.jobdir import JobDirectory
from webapp.cli.remote.session import Remote, connected, json_option, server_option
from webapp.client import ApiError, Incomplete, Job

_TRIES = 3
_REMOVED = {
    "work_removed": "its work files",
    "results_removed": "its results",
    "logs_removed": "its logs",
}


@click.command()
@click.argument("job_id", metavar="ID")
@click.option(
    "--to",
    "where",
    metavar="FOLDER|home",
    default="home",
    show_default=True,
    help="Where its directory goes: the place that it has in the home folder, or below FOLDER.",
)
@click.option("--force", is_flag=True, help="Replace a copy that was continued here.")
@server_option
@home_option
@json_option
def pull(
    job_id: str,
    where: str,
    force: bool,
    server: str | None,
    home_folder: str | None,
    as_json: bool,
) -> None:
    """Bring the directory of the job ID home from a service, to continue it here.

    The job must have ended. `jobrunner rerun ID` or a bare `snakemake` then goes on from what is
    done; the release that it runs comes along, and so do its sub-jobs. What the job had on its
    server and has not here is said. The service keeps its own copy, and does not hear of what is
    done here.
    """
    with connected(server, as_json) as remote:
        home = Home.find(home_folder)
        job = remote.client.job(job_id)
        _check(job)
        if where == "home":
            place = arrival.place_of(home, {"id": job.id, "submitted": {"at": job.submitted}})
        else:
            place = Path(where).expanduser().absolute() / job.id
        if not force and _is_here(remote, job, place):
            _tell(remote, job, place, [], fresh=False)
            return
        missing = _bring(remote, home, job, place, force)
        _tell(remote, job, place, missing, fresh=True)


def _check(job: Job) -> None:
    """Refuse what the service would refuse, in words for people.

    Raises
    ------
    InvalidRequest
        If it is a sub-job: it runs with what the whole job has.
    ApiError
        If the job has not ended, or its files are gone.
    """
    if job.parent:
        raise InvalidRequest(
            f"{job.id} is a sub-job. Pull the job that it is a part of, it comes with it: "
            f"jobrunner pull {job.parent}"
        )
    if not job.ended:
        text = f"Job {job.id} is {job.status}. It can be pulled once it has ended."
        raise ApiError(409, "conflict", text)
    if job.document.get("files_gone"):
        raise NotFound(f"The files of job {job.id} are gone.")


def _is_here(remote: Remote, job: Job, place: Path) -> bool:
    """Tell whether what was pulled before is all that there is; look first if it may be replaced.

    Raises
    ------
    NotPlaced
        If something is there that must not be lost.
    """
    if not place.exists():
        return False
    placing.check_old(place, {"id": job.id, "type": job.type}, force=False)
    record = placing.pulled(place) or {"events": 0}
    newer = remote.client.events(job.id, since=int(record["events"]), follow=False)
    return next(iter(newer), None) is None


def _bring(remote: Remote, home: Home, job: Job, place: Path, force: bool) -> list[Missing]:
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f".pull-{job.id}-{secrets.token_hex(4)}")
    try:
        with room_on_disk(place.parent), _said(remote, f"Fetching job {job.id}"):
            _fetch(lambda: remote.client.directory(job.id), draft, job.id)
            found = _opened(draft, job)
        config = dict(found.config)
        if not arrival.has_release(home, config["release"]):
            with room_on_disk(home.path), _said(remote, f"Fetching release {job.version}"):
                _release(remote, home, job.id, config["release"])
        with placing.room_for(place, config, force) as put:
            with _said(remote, "Looking for what it needs"):
                missing = arrival.settle(home, found, remote.client.server)
            put(draft)
        return missing
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fetch(opened: Any, folder: Path, prefix: str) -> None:
    """Fetch a tar; one that breaks off, or whose job changes meanwhile, is begun anew."""
    for left in reversed(range(_TRIES)):
        try:
            with opened() as stream:
                archive.unpack(cast(BinaryIO, stream), folder, prefix)
            return
        except (Incomplete, BrokenArchive):
            shutil.rmtree(folder, ignore_errors=True)
            if not left:
                raise
            time.sleep(1.0)


def _opened(draft: Path, job: Job) -> JobDirectory:
    """Open what came, and compare its inputs with their checksums.

    Raises
    ------
    Incomplete
        If it is another job.
    InvalidInput
        If an input is not the one that was submitted.
    """
    found = JobDirectory.open(draft)
    if found.id != job.id:
        raise Incomplete(f"The service sent job {found.id} instead of {job.id}.")
    found.verify_inputs()
    return found


def _release(remote: Remote, home: Home, job_id: str, wanted: dict[str, Any]) -> None:
    home.releases.folder.mkdir(parents=True, exist_ok=True)
    draft = home.releases.folder / f".draft-{secrets.token_hex(8)}"
    try:
        _fetch(lambda: remote.client.release(job_id), draft, "release")
        arrival.adopt_release(home, draft, wanted)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _tell(remote: Remote, job: Job, place: Path, missing: list[Missing], fresh: bool) -> None:
    if remote.as_json:
        told = {"id": job.id, "type": job.type, "status": job.status, "directory": str(place)}
        needs = [one.as_dict() for one in missing]
        document.show({**told, "new": fresh, "missing": needs, "removed": _removed(job)})
        return
    remote.say(f"Job {job.id} is in {place}" + ("" if fresh else ": nothing is newer there."))
    if removed := _removed(job):
        text = f"The server has removed {', '.join(_REMOVED[name] for name in removed)}."
        remote.say(f"{text} Stages whose files are gone run again.", "yellow")
    for one in missing:
        remote.say(f"{one.what}: {one.message}", "yellow")
    remote.say(f"Continue it here with: jobrunner rerun {place}")


def _removed(job: Job) -> list[str]:
    return [name for name in _REMOVED if job.document.get(name)]


@contextmanager
def _said(remote: Remote, what: str) -> Iterator[None]:
    """Show what is being done, on a terminal."""
    if remote.as_json or not remote.console.is_terminal:
        yield
        return
    with Status(f"{what} …", console=remote.console):
        yield
