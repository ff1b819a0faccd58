"""``/jobs/{id}/events``: what happened to a job, as JSON or as it happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apiflask import APIBlueprint
from flask import Response, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from runner.errors import InvalidRequest
from runner.files import now
from webapp import jobs
from webapp.api import auth, streams
from webapp.api.openapi import Responses
from webapp.api.schemas import JobOut
from webapp.api.schemas_reading import EventIn, EventsIn, EventsOut, event_out
from webapp.models import ENDED, Job, JobEvent
from webapp.queue import channel_of
from webapp.service import Service

_AT_ONCE = 500  # events that a stream holds in memory
blueprint = APIBlueprint("events", __name__, tag="events")
_RESPONSES: Responses = {
    200: {
        "description": "Events in their order; a stream ends with an event `end` when the job has.",
        "content": {streams.MIMETYPE: {"schema": streams.SCHEMA}},
    }
}


@blueprint.get("/jobs/<job_id>/events")
@blueprint.input(EventsIn, location="query", arg_name="query")
@blueprint.output(EventsOut)
@blueprint.doc(responses=_RESPONSES)
def read(job_id: str, query: EventsIn) -> EventsOut | Response:
    """Tell what happened to a job.

    With `Accept: text/event-stream` the answer is a stream: each event as it happens, named as its
    kind, its number as the id; a comment every 15 seconds; `end` when the job has ended. A client
    that comes back sends the header `Last-Event-ID`, which goes before `since`.
    """
    job, service = auth.readable(job_id), auth.service()
    if streams.wanted():
        return streams.answer(_follow(service, job.id, _last_event(query.since)))
    with service.db.read() as session:
        found = _events(session, job.id, query.since, query.limit + 1)
    items = [event_out(event) for event in found[: query.limit]]
    return EventsOut(
        items=items,
        next=items[-1].n if items else query.since,
        more=len(found) > query.limit,
    )


@blueprint.post("/jobs/<job_id>/events")
@blueprint.input(EventIn, arg_name="given")
@blueprint.output(JobOut, status_code=201, description="It is taken down; the job as it is now.")
@blueprint.doc(
    responses={
        409: "A worker of this service has the job, the status cannot follow, or it is a sub-job."
    }
)
def write(job_id: str, given: EventIn) -> JobOut:
    """Tell what happened to a job that is worked on elsewhere.

    A change of status, progress, or a note; each with the time at which it happened.
    """
    auth.readable(job_id)
    asker = auth.require("worker")
    data = given.model_dump(exclude={"kind", "time"}, exclude_none=True)
    _check(given, set(data))
    time = given.time or now()
    return JobOut.of(jobs.append(auth.service(), job_id, asker.user, given.kind, time, **data))


_NEEDED = {"status": {"status"}, "progress": {"done", "total"}, "note": {"message"}}
_POSSIBLE = {"status": {"error", "message"}, "progress": {"message"}, "note": set[str]()}


def _check(given: EventIn, said: set[str]) -> None:
    needed = _NEEDED[given.kind]
    wrong = {name: f"a {given.kind} event needs this" for name in needed - said}
    for name in said - needed - _POSSIBLE[given.kind]:
        wrong[name] = f"a {given.kind} event has no such field"
    if given.error is not None and given.status != "failed":
        wrong["error"] = "only goes with the status failed"
    if given.done is not None and given.total is not None and given.done > given.total:
        wrong["done"] = f"is more than total, {given.total}"
    if wrong:
        problems = [{"pointer": f"/{name}", "message": wrong[name]} for name in sorted(wrong)]
        text = "; ".join(f"{name}: {wrong[name]}" for name in sorted(wrong))
        raise InvalidRequest(f"The event is wrong: {text}.", problems)


def _last_event(since: int) -> int:
    given = request.headers.get("Last-Event-ID", "").strip()
    if not given:
        return since
    if given.isascii() and given.isdigit() and len(given) < 10:
        return int(given)
    text = "Last-Event-ID must be the number of an event"
    raise InvalidRequest(text, [{"pointer": "/Last-Event-ID", "in": "header", "message": text}])


def _events(session: Session, job_id: str, since: int, limit: int) -> Sequence[JobEvent]:
    query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.n > since)
    return session.scalars(query.order_by(JobEvent.n).limit(limit)).all()


def _follow(service: Service, job_id: str, since: int) -> Iterator[str]:
    """Give events as they come; rows are read again whenever a message says that there are new."""
    pulse = streams.Pulse()
    with service.queue.subscribe(channel_of(job_id)) as subscription:
        while not pulse.over:
            with service.db.read() as session:
                # the status before the events: if it is an end, all events up to it are there
                job = session.get(Job, job_id)
                status = job.status if job else None
                found = _events(session, job_id, since, _AT_ONCE)
            for event in found:
                since = event.n
                pulse.sent()
                yield streams.message(event_out(event).model_dump(), event.kind, event.n)
            if len(found) == _AT_ONCE:
                continue
            if status is None or status in ENDED:
                yield streams.message({"status": status or "deleted"}, "end", since)
                return
            subscription.wait(pulse.left, *streams.ends())
            yield from pulse.beat()
