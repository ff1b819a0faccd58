"""How a job comes into being: its directory as a draft, its row, then its place."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy.exc import IntegrityError

from runner.errors import InvalidRequest, JobRunnerError
from runner.files import now, room_on_disk
from runner.inputs import Upload
from runner.jobdir import JobDirectory
from runner.prepared import Prepared
from webapp.admission import admit
from webapp.db import DatabaseAway
from webapp.jobs.change import refuse_part
from webapp.jobs.fold import absorb, get
from webapp.jobs.room import draft_with_room
from webapp.jobs.row import Needs, new_row
from webapp.models import Idempotency, Job
from webapp.notify import DEFAULT_ENDS, warnings
from webapp.pools import seconds_ago
from webapp.service import Service

_LOG = logging.getLogger(__name__)
PRIORITIES = range(-100, 101)
_LISTS = ("tags", "notify", "notify_on")


class IdempotencyConflict(JobRunnerError):
    """A key that was used for another request."""

    code = "idempotency_conflict"
    status = 409


@dataclass(frozen=True)
class IdempotencyKey:
    """A submitter's own name for a request, so that it may be sent twice.

    Attributes
    ----------
    scope : str
        Whose key it is.
    body : str
        Digest of the request.
    """

    scope: str
    key: str
    body: str


@dataclass(frozen=True)
class Submission:
    """What is asked for; `inputs` by name, `priority` from -100 to 100, higher first.

    `resources` are those that differ from the defaults: ``{"mem_mb": 8000, "stages": {…}}``.
    """

    type: str
    instance: str
    user: str
    inputs: Mapping[str, Path | Upload] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    version: str | None = None
    profile: str | None = None
    priority: int = 0
    tags: Sequence[str] = ()
    notify: Sequence[str] = ()
    notify_on: Sequence[str] = DEFAULT_ENDS
    resubmit_of: str | None = None
    resources: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Submitted:
    """The job; `created` is False if the same request had made it before."""

    job: Job
    warnings: tuple[str, ...] = ()
    created: bool = True


def submit(
    service: Service, submission: Submission, idempotency: IdempotencyKey | None = None
) -> Submitted:
    """Accept a job: when this returns it is on disk and in the database, and will run.

    Raises
    ------
    JobRunnerError
        If anything asked for is wrong; nothing is left behind then.
    IdempotencyConflict
        If the key stands for another request.
    """
    if idempotency and (known := _known(service, idempotency)):
        return known
    prepared = draft(service, submission)
    try:
        with service.db.write() as session:
            caps = service.instances.caps(submission.instance, submission.type)
            asked = submission.resources
            needs = Needs.of(prepared.profile, prepared.job_type, asked, caps)
            job = new_row(service.home.path, prepared.job, needs)
            session.add(job)
            session.flush()
            absorb(service, session, job, prepared.job)
            if idempotency:
                session.add(Idempotency(**vars(idempotency), job_id=job.id, created=now()))
    except DatabaseAway:  # perhaps it has committed: the reconciler finds out
        raise
    except BaseException as error:
        prepared.job.discard()
        if (
            idempotency
            and isinstance(error, IntegrityError)
            and (known := _known(service, idempotency))
        ):
            return known
        raise
    _set_off(service, job)
    told = warnings(service, submission.instance, submission.notify)
    return Submitted(job, (*prepared.warnings, *told))


def resubmit(
    service: Service,
    job_id: str,
    by: str,
    *,
    params: Mapping[str, Any] | None = None,
    version: str | None = None,
    resources: Mapping[str, Any] | None = None,
    max_priority: int = PRIORITIES[-1],
) -> Submitted:
    """Submit a job once more as a new one, with changed parameters or another version.

    Parameters
    ----------
    params : mapping, optional
        Replaces single parameters; None takes one back to its default.
    version : str, optional
        The newest by default.
    resources : mapping, optional
        Replace those that were asked for, which are kept by default.
    max_priority : int
        The highest that `by` may ask for, should the old job have been given a higher one.

    Raises
    ------
    Conflict
        If it is a sub-job.
    """
    refuse_part(service, job_id, "Submit again")
    with service.db.read() as session:
        old = get(session, job_id)
        directory = service.directory(old)
    changed = {**directory.config["params"], **(params or {})}
    queue = directory.config.get("queue") or {}
    again = Submission(
        type=old.type,
        instance=old.instance,
        user=by,
        params={name: value for name, value in changed.items() if value is not None},
        version=version,
        profile=old.profile,
        priority=min(old.priority, max_priority),
        tags=old.tags,
        notify=queue.get("notify", ()),
        notify_on=queue.get("notify_on", DEFAULT_ENDS),
        resubmit_of=job_id,
        resources=directory.config.get("resources") or {} if resources is None else resources,
    )
    with _copies(service, directory) as inputs:
        return submit(service, replace(again, inputs=inputs))


@contextmanager
def _copies(service: Service, directory: JobDirectory) -> Iterator[dict[str, Upload]]:
    """Give copies of a job's inputs under the names that their sender gave them."""
    uploads = service.home.path / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    with room_on_disk(uploads), TemporaryDirectory(prefix="again-", dir=uploads) as scratch:
        copies = {}
        for name, spec in directory.config["inputs"].items():
            path = Path(scratch, name)
            shutil.copyfile(directory.file(spec["path"]), path)
            copies[name] = Upload(path, spec["name"], spec["sha256"], spec["bytes"])
        yield copies


def draft(service: Service, submission: Submission, jobs: Path | None = None) -> Prepared:
    """Check a submission and write its directory, beside its place.

    Parameters
    ----------
    jobs : Path, optional
        Another folder than the home's, for a job that is only planned.

    Raises
    ------
    JobRunnerError
        If anything asked for is wrong; nothing is left behind then.
    """
    if submission.priority not in PRIORITIES:
        text = f"priority is {submission.priority}; it goes from -100 to 100."
        raise InvalidRequest(text, [{"pointer": "/priority", "message": text}])
    chosen = service.instances.resolve(
        service.home.releases,
        submission.instance,
        submission.type,
        submission.version,
        submission.profile,
    )
    queue = {name: getattr(submission, name) for name in ("priority", "resubmit_of")}
    return draft_with_room(
        service,
        chosen,
        submission.type,
        inputs=submission.inputs,
        params=submission.params,
        asked=submission.resources,
        jobs=jobs,
        instance=submission.instance,
        by=submission.user,
        queue={**queue, **{name: list(getattr(submission, name)) for name in _LISTS}},
    )


def _known(service: Service, wanted: IdempotencyKey) -> Submitted | None:
    oldest = seconds_ago(service.settings.idempotency_hours * 3600)
    with service.db.write() as session:
        found = session.get(Idempotency, (wanted.scope, wanted.key))
        if found is None:
            return None
        if found.created < oldest:
            session.delete(found)
            return None
        if found.body != wanted.body:
            raise IdempotencyConflict(
                f"Idempotency-Key {wanted.key!r} was used for another request (job "
                f"{found.job_id}). Use a new key for a new request."
            )
        return Submitted(get(session, found.job_id), created=False)


def _set_off(service: Service, job: Job) -> None:
    try:
        service.place(job)
        admit(service)
    except Exception:  # it is accepted; the reconciler does both again
        _LOG.exception("job %s waits for the reconciler", job.id)
