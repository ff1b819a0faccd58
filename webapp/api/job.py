"""``GET /jobs/{id}``: everything that a page about a job needs, in one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

from apiflask import APIBlueprint
from sqlalchemy import select
from sqlalchemy.orm import Session

from runner import record, sub_jobs
from runner.errors import NotFound
from runner.events import Event
from runner.jobdir import JobDirectory
from runner.jobtype import JobType, Stage
from runner.state import JobState
from webapp import admission, jobs
from webapp.api import auth, files, reading, taken
from webapp.api.schemas import StageOut, WaitingOut
from webapp.api.schemas_job import (
    AttemptOut,
    JobWholeOut,
    LinksOut,
    ProgressOut,
    RequestOut,
    SubJobOut,
    SubmittedFileOut,
    UsedProcessingOut,
)
from webapp.models import Job, JobEvent

_TOLD = ("status", "attempt", "stage", "progress")  # kinds of events that a page is made from
blueprint = APIBlueprint("job", __name__, tag="jobs")


@blueprint.get("/jobs/<job_id>")
@blueprint.output(JobWholeOut)
def get(job_id: str) -> JobWholeOut:
    """Describe a job: everything that a page about it needs.

    What was asked for, where it stands and why it waits, its stages, sub-jobs, attempts, error and
    results.
    """
    job, service = _up_to_date(auth.readable(job_id)), auth.service()
    directory = reading.directory(job)
    job_type = reading.catalogue().job_type(job.digest, job.type)
    with service.db.read() as session:
        events = _events(session, job.id)
        waiting = admission.waiting(session, service, job)
        parts = session.scalars(select(Job).where(Job.parent == job.id)).all()
    return JobWholeOut.of(
        job,
        title=job_type.title if job_type else None,
        request=_request(job, directory, job_type),
        resources=taken.granted(job, directory, job_type),
        stages=_stages(events, job_type),
        sub_jobs=_sub_jobs(parts, directory),
        attempts=_attempts(events, directory if job.parent is None else None),
        artifacts=files.artifacts(job.id),
        progress=_progress(events),
        waiting=WaitingOut.model_validate(waiting) if waiting else None,
        files_gone=directory is None,
        links=_links(job),
    )


def _up_to_date(job: Job) -> Job:
    """Take over what was done by hand in the directory, without a worker that would tell."""
    with suppress(NotFound, OSError):
        return jobs.take_over(auth.service(), job.id)
    return job


def _events(session: Session, job_id: str) -> list[Event]:
    query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.kind.in_(_TOLD))
    columns = ("n", "time", "kind", "source", "attempt")
    return [
        {**event.data, **{name: getattr(event, name) for name in columns}}
        for event in session.scalars(query.order_by(JobEvent.n))
    ]


def _request(job: Job, directory: JobDirectory | None, job_type: JobType | None) -> RequestOut:
    config: Mapping[str, Any] = directory.config if directory else {}
    used = config.get("processing")
    return RequestOut(
        params=config.get("params") if directory else None,
        inputs=[
            SubmittedFileOut(
                name=name,
                title=job_type.inputs[name].title if job_type and name in job_type.inputs else name,
                filename=spec["name"] if "name" in spec else spec["path"].rsplit("/", 1)[-1],
                path=spec["path"],
                bytes=spec["bytes"],
                sha256=spec["sha256"],
                url=files.url_of(job.id, spec["path"]),
            )
            for name, spec in config.get("inputs", {}).items()
        ],
        version=job.version,
        digest=job.digest,
        release_gone=job_type is None,
        # the folders of this machine that are beside it are nobody's business
        processing=UsedProcessingOut(**{k: used.get(k) for k in UsedProcessingOut.model_fields})
        if used
        else None,
        resources=config.get("resources") or {},
        resubmit_of=(config.get("queue") or {}).get("resubmit_of") if not job.parent else None,
    )


def _stages(events: list[Event], job_type: JobType | None) -> list[StageOut]:
    if job_type is None:  # its release is gone: the stages that were seen, in that order
        seen = dict.fromkeys(event["stage"] for event in events if event["kind"] == "stage")
        job_type = cast(JobType, SimpleNamespace(stages=[Stage(name, name) for name in seen]))
    state, of = JobState(job_type, events), {s.name: s.sub_job for s in job_type.stages}
    return [StageOut(**vars(stage), sub_job=of[stage.name]) for stage in state.stages.values()]


def _sub_jobs(parts: Sequence[Job], directory: JobDirectory | None) -> list[SubJobOut]:
    """Give the sub-jobs in the order of the job type; without a directory by their ids."""
    told = (directory.config.get("sub_jobs") or {}) if directory else {}
    found = []
    for part in sorted(parts, key=lambda part: part.id):
        name = sub_jobs.split(part.id)[1] or ""
        title = told[name]["title"] if name in told else None
        found.append(SubJobOut.of(part, name=name, title=title))
    return sorted(found, key=lambda part: list(told).index(part.name) if part.name in told else 0)


def _attempts(events: list[Event], directory: JobDirectory | None) -> list[AttemptOut]:
    """Give the attempts as their records say; of a sub-job, or without any, as the events do."""
    used = taken.by_attempt(events)
    if directory is not None:
        return [
            AttemptOut(**_known(r), number=r["attempt"], stages=used.get(r["attempt"], {}))
            for r in record.records(directory)
        ]
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        if event["kind"] == "attempt" and event["attempt"] is not None:
            told = found.setdefault(event["attempt"], {})
            if event.get("status") == "started":
                told["started"] = event["time"]
            else:
                told |= {"outcome": event.get("status"), "finished": event["time"]}
    return [
        AttemptOut(number=number, **told, stages=used.get(number, {}))
        for number, told in sorted(found.items())
    ]


def _known(told: Mapping[str, Any]) -> dict[str, Any]:
    known = {k: told[k] for k in AttemptOut.model_fields if k in told and k != "stages"}
    used = {k: n for k, n in (told.get("used") or {}).items() if k != "stages"}  # has its own field
    return {**known, "used": used or None}


def _progress(events: list[Event]) -> ProgressOut | None:
    """Give the last word on progress of the last attempt."""
    for event in reversed(events):
        if event["kind"] == "attempt" and event.get("status") == "started":
            return None
        if event["kind"] == "progress" and "done" in event and "total" in event:
            return ProgressOut(done=event["done"], total=event["total"], time=event["time"])
    return None


def _links(job: Job) -> LinksOut:
    own = f"/api/v1/jobs/{job.id}"
    return LinksOut(
        events=f"{own}/events",
        log=f"{own}/log",
        files=f"{own}/files",
        zip=f"{own}/files.zip",
        sub_jobs=f"/api/v1/jobs?parent={quote(job.id)}",
        type=f"/api/v1/types/{job.type}?version={quote(job.version)}",
        parent=f"/api/v1/jobs/{quote(job.parent)}" if job.parent else None,
    )
