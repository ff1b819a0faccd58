"""Errors as answers: one shape for all, ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from apiflask import APIFlask, HTTPError
from flask import Response, current_app, g, has_request_context, request
from pydantic import ValidationError
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from runner.errors import JobRunnerError
from webapp.db import DatabaseAway

MIMETYPE = "application/problem+json"
RETRY_AFTER = 5  # seconds; said with every 503
_log = logging.getLogger("webapp.api")
# What the caller can do about an answer that has no words of its own.
CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    422: "invalid_request",
    429: "too_many_requests",
    503: "unavailable",
}


def answer(
    status: int,
    detail: str,
    *,
    code: str | None = None,
    problems: Iterable[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
) -> Response:
    """Give an error as an answer.

    Parameters
    ----------
    status : int
        The HTTP status.
    detail : str
        What was wrong, where, and what to do.
    code : str, optional
        Short machine-readable name; by default that of the status.
    problems : iterable of mapping
        Single problems: ``message``, and ``pointer`` (JSON pointer) where a field is wrong.
    headers : mapping or sequence of pairs
        Further headers.
    """
    body = {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code or CODES.get(status, "error" if status < 500 else "internal"),
        "problems": [{"pointer": "", **problem} for problem in problems],
        "instance": quote(request.path) if has_request_context() else None,
        "request_id": request_id(),
    }
    response = current_app.response_class(
        current_app.json.dumps(body), status=status, mimetype=MIMETYPE
    )
    response.headers.extend(headers)
    if status == 503:
        response.headers.setdefault("Retry-After", str(RETRY_AFTER))
    if status == 401:
        response.headers.setdefault("WWW-Authenticate", 'Bearer realm="jobrunner"')
    return response


def request_id() -> str | None:
    """Give the id of the request that is being answered."""
    return g.get("request_id") if has_request_context() else None


def pointer(location: Iterable[str | int]) -> str:
    """Give the JSON pointer (RFC 6901) of a place.

    Examples
    --------
    >>> pointer(["params", "a/b", 0])
    '/params/a~1b/0'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def problems_of(error: ValidationError, place: str = "body") -> list[dict[str, str]]:
    """Give a problem for each wrong field; those outside of the body say ``in``."""
    found = []
    for single in error.errors(include_url=False, include_context=False, include_input=False):
        message = _WORDS.get(single["type"], single["msg"]).removeprefix("Value error, ")
        problem = {"pointer": pointer(single["loc"]), "message": message}
        found.append(problem if place == "body" else {**problem, "in": place})
    return found


def register(app: APIFlask) -> None:
    """Let `app` answer every exception with a problem."""
    app.register_error_handler(JobRunnerError, _job_runner)
    app.register_error_handler(HTTPError, _apiflask)
    app.register_error_handler(HTTPException, _werkzeug)
    app.register_error_handler(ValidationError, _pydantic)
    app.register_error_handler(DataError, _unstorable)
    for kind in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(kind, _database_away)
    app.register_error_handler(Exception, _unexpected)


def _job_runner(error: JobRunnerError) -> Response:
    if isinstance(error, DatabaseAway):
        return _database_away(error)
    if error.status >= 500:
        _log.error("%s %s: %s", request_id(), error.code, error.message, exc_info=error)
    headers: Mapping[str, str] = getattr(error, "headers", {})
    return answer(
        error.status, error.message, code=error.code, problems=error.problems, headers=headers
    )


def _apiflask(error: HTTPError) -> Response:
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        place = next(iter(error.detail), "json") if isinstance(error.detail, dict) else "json"
        return _pydantic(cause, _PLACES.get(place, "body"))
    headers = [(name, str(value)) for name, value in Headers(error.headers).items()]
    return answer(error.status_code, error.message or "", headers=headers)


_WORDS = {"extra_forbidden": "There is no such field", "missing": "It is required"}
_PLACES = {"query": "query", "querystring": "query", "headers": "header", "path": "path"}


def _pydantic(error: ValidationError, place: str = "body") -> Response:
    problems = problems_of(error, place)
    where = "The request" if place == "body" else f"The {place} part of the request"
    return answer(422, f"{where} is wrong in {_count(problems)}: see problems.", problems=problems)


def _count(problems: Sequence[object]) -> str:
    return "one place" if len(problems) == 1 else f"{len(problems)} places"


def _werkzeug(error: HTTPException) -> Any:
    if error.code is None or error.code < 400:
        return error.get_response()  # a redirect
    if error.code == 404 and request.routing_exception is error:
        return answer(
            404, f"There is nothing at {quote(request.path)}: /api/docs shows what there is."
        )
    headers = [(k, v) for k, v in error.get_headers() if k.lower() != "content-type"]
    return answer(error.code, error.description or error.name, headers=headers)


def _unstorable(error: DataError) -> Response:
    """Answer for a value that PostgreSQL refuses; checks before should have caught it."""
    _log.warning("%s a value was refused by the database", request_id(), exc_info=error)
    return answer(422, "A value of the request cannot be stored.", code="invalid_request")


def _database_away(error: Exception) -> Response:
    _log.error("%s the database does not answer: %s", request_id(), error)  # may name hosts
    message = "The database does not answer. Nothing was changed; try again shortly."
    return answer(503, message, code=DatabaseAway.code)


def _unexpected(error: Exception) -> Response:
    _log.error("%s %s %s", request_id(), request.method, request.path, exc_info=error)
    message = (
        "This should not have happened. The service's log has the details under request_id "
        f"{request_id()}."
    )
    return answer(500, message, code="internal")
