"""The database rebuilt from the job directories: they are the truth, the rows are a fold of them.

It may be done at any time, and again: what is there already stays, what is missing is added, and
of what is older than its directory the newer events are taken over. Tokens, limits, pauses and
keys of submissions are in the database only: a backup brings them back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from runner import profile, sub_jobs
from runner.errors import InvalidConfiguration, JobRunnerError, NotFound
from runner.jobdir import JobDirectory, draft_of
from runner.profile import Profile
from webapp.catalogue import Catalogue
from webapp.db import DatabaseAway
from webapp.jobs import recover
from webapp.jobs.artifacts import Found, artifacts_of
from webapp.jobs.row import Needs
from webapp.models import ENDED, Artifact, Job, is_whole
from webapp.service import Service

BATCH = 200  # jobs of a transaction
Progress = Callable[[int, int], object]


@dataclass
class Report:
    """What was found and done; sub-jobs belong to their job and are not counted by themselves.

    Attributes
    ----------
    found : int
        Job directories of the service.
    added : int
        Jobs that had no row.
    updated : int
        Jobs whose rows were older than their directory.
    unchanged : int
        Jobs whose rows knew all of it.
    others : int
        Job directories that the service never had: made by ``jobrunner run``.
    drafts : int
        Directories of requests that were never accepted.
    problems : list of dict
        ``directory`` and ``message`` of each that could not be read.
    """

    found: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    others: int = 0
    drafts: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Give it as a plain mapping."""
        return asdict(self)


class _Known(NamedTuple):
    """What rows know of a directory; sizes of artifacts by job and path, if the job has ended."""

    seen: int
    offset: int
    artifacts: dict[tuple[str, str], int] | None


@dataclass(frozen=True)
class _Found:
    directory: JobDirectory
    needs: Needs
    artifacts: Found


def reindex(service: Service, progress: Progress = lambda done, of: None) -> Report:
    """Rebuild rows from the directories of all jobs.

    Parameters
    ----------
    service : Service
        Whose home and database; it may be running.
    progress : callable
        Told now and then how many directories are done, and of how many.

    Raises
    ------
    DatabaseAway
        If the database does not answer; what was done until then stays.
    """
    report = Report()
    sources, paths = _Sources(service), sorted(_places(service.home.jobs, report))
    for number in range(0, len(paths), BATCH):
        _take(service, sources, paths[number : number + BATCH], report)
        progress(min(number + BATCH, len(paths)), len(paths))
    _look_for_lost(service, report)
    return report


def _places(jobs: Path, report: Report) -> Iterator[Path]:
    """Give the folders that may be a job's directory; what begins with a dot is none yet."""
    for path in jobs.glob("*/*/*/*"):
        if path.name.startswith(".draft-"):
            report.drafts += 1
        elif not path.name.startswith(".") and path.is_dir() and not draft_of(path).is_dir():
            yield path


def _take(service: Service, sources: _Sources, paths: list[Path], report: Report) -> None:
    known = _known(service, [path.name for path in paths])
    new = []
    for path in paths:
        with _tolerance(service, path, report.problems):
            if path.name in known:
                _update(service, path, known[path.name], report)
            elif found := _read(sources, path, report):
                new.append(found)
    if new:
        _add(service, new, report)


def _known(service: Service, ids: list[str]) -> dict[str, _Known]:
    columns = (Job.id, Job.events_seen, Job.events_offset, Job.status)
    artifacts = select(Artifact.job_id, Artifact.path, Artifact.bytes)
    sizes: dict[str, dict[tuple[str, str], int]] = {}
    with service.db.read() as session:
        of_parts = artifacts.join(Job, Job.id == Artifact.job_id).where(Job.parent.in_(ids))
        for query in (artifacts.where(Artifact.job_id.in_(ids)), of_parts):
            for job_id, path, size in session.execute(query):
                whole, _ = sub_jobs.split(job_id)
                sizes.setdefault(whole, {})[job_id, path] = size
        rows = session.execute(select(*columns).where(Job.id.in_(ids)))
        return {
            job_id: _Known(seen, offset, sizes.get(job_id, {}) if status in ENDED else None)
            for job_id, seen, offset, status in rows
        }


def _read(sources: _Sources, path: Path, report: Report) -> _Found | None:
    """Read a job directory; None if it is none, or not one of the service."""
    if not any(path.iterdir()):
        return None  # its draft was never finished
    directory = JobDirectory.open(path)
    if not directory.config.get("queue"):
        report.others += 1
        return None
    report.found += 1
    if directory.id != path.name:
        raise InvalidConfiguration(
            f"Its job.yaml is that of job {directory.id}: it is a copy of that one. Remove it."
        )
    if next(directory.events.read(), None) is None:
        raise NotFound("Its events.jsonl is missing or empty: restore it from a backup.")
    sub_jobs.sync(directory)
    return _Found(directory, sources.needs(directory), artifacts_of(directory))


def _update(service: Service, path: Path, known: _Known, report: Report) -> None:
    report.found += 1
    size = (path / "events.jsonl").stat().st_size
    if size < known.offset:
        raise InvalidConfiguration(
            f"It is older than its row, which knows {known.seen} events that took "
            f"{known.offset} bytes; the directory has {size}. Restore a newer copy of it."
        )
    if (size > known.offset and recover.catch_up(service, path.name)) or (
        _has_other_results(path, known) and recover.note_artifacts(service, path.name)
    ):
        report.updated += 1
    else:
        report.unchanged += 1


def _has_other_results(path: Path, known: _Known) -> bool:
    if known.artifacts is None:
        return False
    job = JobDirectory.open(path)
    sizes = {
        (place.id, file.relative_to(place.path).as_posix()): file.stat().st_size
        for place in (job, *sub_jobs.directories(job))
        for file in place.result_files()
    }
    return sizes != known.artifacts


def _add(service: Service, new: list[_Found], report: Report) -> None:
    """Add jobs in one transaction; if a running service is in its way, in one each."""
    try:
        _add_together(service, new, report)
    except DatabaseAway:
        service.db.ping()
        for found in new:
            _add_together(service, [found], report)


def _add_together(service: Service, new: list[_Found], report: Report) -> None:
    """Add jobs; one that cannot be added does not keep the others back."""
    added: list[str] = []
    problems: list[dict[str, str]] = []
    ids = [found.directory.id for found in new]
    with service.db.exclusive("reindex") as session:
        there = set(session.scalars(select(Job.id).where(Job.id.in_(ids))))
        for found in new:
            if found.directory.id in there:  # somebody else does the same
                continue
            with _tolerance(service, found.directory.path, problems), session.begin_nested():
                recover.enter(service, session, found.directory, found.needs, found.artifacts)
                added.append(found.directory.id)
    report.added += len(added)
    report.unchanged += len(there)
    report.problems += problems


def _look_for_lost(service: Service, report: Report) -> None:
    """Tell of rows whose directory is nowhere."""
    with service.db.read() as session:
        query = select(Job).where(is_whole()).order_by(Job.id)
        for job in session.scalars(query.execution_options(yield_per=1000)):
            path, known = service.path(job), (job.error or {}).get("code") == "directory_gone"
            if not known and not path.is_dir() and not draft_of(path).is_dir():
                text = "The database has this job, but its directory is gone. Restore or delete it."
                report.problems.append({"directory": job.directory, "message": text})


class _Sources:
    """Profiles and job types, read once."""

    def __init__(self, service: Service) -> None:
        self._home = service.home.path
        self._instances = service.instances
        self._catalogue = Catalogue(service.home.releases)
        self._profiles: dict[str, Profile | None] = {}

    def needs(self, directory: JobDirectory) -> Needs:
        """Give where a job runs and what it takes, as far as that is still known."""
        config = directory.config
        job_type = self._catalogue.job_type(config["release"]["digest"], directory.type)
        used = self._profile(config["profile"])
        caps = self._instances.caps(config["instance"], directory.type)
        return Needs.of(used, job_type, config.get("resources"), caps)

    def _profile(self, name: str) -> Profile | None:
        if name not in self._profiles:
            try:
                self._profiles[name] = profile.load(name, self._home)
            except JobRunnerError:
                self._profiles[name] = None
        return self._profiles[name]


@contextmanager
def _tolerance(service: Service, path: Path, problems: list[dict[str, str]]) -> Iterator[None]:
    """Go on past one directory that cannot be read, and take down why."""
    try:
        yield
    except (DatabaseAway, OperationalError):
        raise
    except Exception as error:
        if not path.is_dir():
            return  # it was deleted just now
        where = path.relative_to(service.home.path).as_posix()
        problems.append({"directory": where, "message": _told(error)})


def _told(error: Exception) -> str:
    if isinstance(error, JobRunnerError):
        return error.message
    what = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return f"It cannot be read ({what}). Restore it from a backup."
