"""``POST /jobs``: a job is accepted, or only planned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from apiflask import APIBlueprint
from flask import Response, current_app, request
from werkzeug.exceptions import UnsupportedMediaType

from runner.errors import InvalidRequest
from webapp import jobs
from webapp.api import auth, linger, reading, submission, submit_docs, uploads
from webapp.api.planning import plan as make_plan
from webapp.api.schemas import Out
from webapp.api.schemas_writing import PlanQuery, SubmittedOut
from webapp.api.uploads import Received
from webapp.jobs import IdempotencyKey, Submission, Submitted
from webapp.tokens import Identity

blueprint = APIBlueprint("submit", __name__, tag="jobs")
blueprint.after_request(linger.after)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@blueprint.post("/jobs")
@blueprint.input(PlanQuery, location="query", arg_name="query")
@blueprint.output(SubmittedOut, status_code=202, description="The job is accepted.")
@blueprint.doc(responses=submit_docs.RESPONSES, extensions=submit_docs.EXTENSIONS)
def submit(query: PlanQuery) -> Response:
    """Submit a job.

    A form with a part `request` (a JSON document) and one file for each input, named as the
    input; or the JSON document alone, for job types that need no file. What is accepted is on
    disk and in the database, and will run. With the header `Idempotency-Key` the same request
    may be sent again: it gives the same job.
    """
    asker = auth.require("submitter")
    key = _key()
    with _received(asker) as received:
        wanted = submission.read(auth.service(), asker, received)
        if query.plan:
            return _json(make_plan(auth.service(), wanted, received.folder), 200)
        return _accepted(wanted, _idempotency(asker, key, wanted))


def _accepted(wanted: Submission, idempotency: IdempotencyKey | None) -> Response:
    done: Submitted = jobs.submit(auth.service(), wanted, idempotency)
    title = reading.catalogue().title(done.job.digest, done.job.type)
    answer = SubmittedOut.of(done.job, title=title, warnings=list(done.warnings))
    response = _json(answer, 202)
    response.headers["Location"] = answer.url
    if not done.created:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@contextmanager
def _received(asker: Identity) -> Iterator[Received]:
    service = auth.service()
    folder, reserve = service.home.path / "uploads", service.settings.disk_reserve
    kind = request.mimetype
    if kind == "multipart/form-data":
        with uploads.receive(
            request,
            folder,
            limit=service.settings.upload_limit,
            reserve=reserve,
            limits=partial(submission.largest_sizes, service, asker),
        ) as received:
            yield received
    elif request.is_json:
        with uploads.receive_document(request, folder, reserve=reserve) as received:
            yield received
    else:
        raise UnsupportedMediaType(
            "The body must be multipart/form-data or application/json, not "
            f"{kind or 'without a type'}."
        )


def _key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        text = "Idempotency-Key must have 1 to 255 visible ASCII characters and no blank."
        raise InvalidRequest(text, [{"pointer": "", "in": "header", "message": text}])
    return key


def _idempotency(asker: Identity, key: str | None, wanted: Submission) -> IdempotencyKey | None:
    if key is None:
        return None
    return IdempotencyKey(asker.token_id, key, submission.digest(wanted))


def _json(document: Out, status: int) -> Response:
    text = current_app.json.dumps(document.model_dump(mode="json"))
    return Response(text, status=status, mimetype="application/json")
