"""``GET /jobs``: a page of the list, or all of it for an export."""

from __future__ import annotations

from collections.abc import Iterator

from apiflask import APIBlueprint
from flask import Response, current_app, request

from webapp import listing
from webapp.api import auth, reading
from webapp.api.openapi import Responses
from webapp.api.schemas import JobOut
from webapp.api.schemas_reading import ListIn, ListOut
from webapp.catalogue import Catalogue
from webapp.db import Database
from webapp.listing import Filters, Order
from webapp.models import Job

NDJSON = "application/x-ndjson"
blueprint = APIBlueprint("listing", __name__, tag="jobs")
_RESPONSES: Responses = {
    200: {
        "description": "A page; or all jobs, each as a page has it.",
        "content": {NDJSON: {"schema": {"type": "string"}}},
    }
}


@blueprint.get("/jobs")
@blueprint.input(ListIn, location="query", arg_name="query")
@blueprint.output(ListOut)
@blueprint.doc(responses=_RESPONSES)
def list_jobs(query: ListIn) -> ListOut | Response:
    """List jobs.

    All filters that are given must fit. With `Accept: application/x-ndjson` (or `format=ndjson`)
    the answer is the whole list, a job on each line, however long it is.
    """
    auth.require("viewer")
    order, filters = Order.parse(query.sort), _filters(query)
    db, known = auth.service().db, reading.catalogue()
    if _wants_ndjson(query):
        order.mark(query.cursor)  # now: an answer that has begun cannot become an error
        lines = _lines(db, known, filters, order, query.cursor)
        return current_app.response_class(lines, mimetype=NDJSON)
    with db.read() as session:
        page = listing.page(session, filters, order, query.limit, query.cursor)
        counts = listing.counts(session, filters)
    return ListOut(items=[_shown(known, job) for job in page.jobs], next=page.next, counts=counts)


def _filters(query: ListIn) -> Filters:
    given = query.model_dump(exclude={"sort", "cursor", "limit", "format"})
    visible = auth.visible_instances()
    given["status"] = tuple(given["status"])
    return Filters(**given, visible=None if visible is None else tuple(visible))


def _wants_ndjson(query: ListIn) -> bool:
    if query.format is not None:
        return query.format == "ndjson"
    return request.accept_mimetypes.best_match(["application/json", NDJSON]) == NDJSON


def _lines(
    db: Database, known: Catalogue, filters: Filters, order: Order, cursor: str | None
) -> Iterator[str]:
    for job in listing.every(db, filters, order, cursor):
        yield _shown(known, job).model_dump_json() + "\n"


def _shown(known: Catalogue, job: Job) -> JobOut:
    return JobOut.of(job, title=known.title(job.digest, job.type))
