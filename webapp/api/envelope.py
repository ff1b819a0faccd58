"""What every request and every answer has: an id, a line in the log, safe headers."""

from __future__ import annotations

import logging
import re
import secrets
import time

from apiflask import APIFlask
from flask import Response, current_app, g, request
from werkzeug.exceptions import UnsupportedMediaType

from webapp import logs
from webapp.api import auth, strict

_log = logging.getLogger("webapp.api.access")
# Blueprints that need no token, or ask for it themselves.
PUBLIC = ("health", "health_of_host", "docs", "openapi", "metrics", "metrics_of_host")
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
# The API gives data, never a page: nothing in it may run, be framed or be guessed at.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_LARGEST_BODY = 4_000_000  # bytes of a body that is held in memory: JSON, a piece of a log


def register(app: APIFlask, upload_limit: int) -> None:
    """Put the envelope around every request of `app`.

    Parameters
    ----------
    app : APIFlask
        The application.
    upload_limit : int
        Bytes that a multipart request may have; its files go to disk. All others are small.
    """
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_BODY
    app.config["UPLOAD_LIMIT"] = upload_limit
    app.before_request(_begin)
    app.before_request(_check_texts)
    app.before_request(_refuse_strangers)
    app.before_request(_refuse_media_type)
    app.after_request(_end)
    app.teardown_request(_forget)


def _begin() -> None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _SANE_ID.fullmatch(given) else secrets.token_hex(8)
    g.began = time.perf_counter()
    logs.tell(request_id=g.request_id)
    if request.mimetype == "multipart/form-data":
        request.max_content_length = current_app.config["UPLOAD_LIMIT"]


def _check_texts() -> None:
    strict.check(request)


def _refuse_strangers() -> None:
    """Ask for the token before anything else is looked at, also where a view would forget to."""
    if request.endpoint and request.blueprint not in PUBLIC:
        auth.identity()


def _refuse_media_type() -> None:
    accepted = _accepted()
    if accepted and request.mimetype not in accepted and _has_body():
        raise UnsupportedMediaType(
            f"The body must be {' or '.join(accepted)}, not {request.mimetype or 'without a type'}."
        )


def _accepted() -> list[str]:
    """Give the media types of the body that a view reads by ``@blueprint.input``."""
    view = current_app.view_functions.get(request.endpoint or "")
    spec = getattr(view, "_spec", {})
    if not spec.get("body"):
        return []
    types = spec.get("content_type")
    return list(types) if isinstance(types, list) else [str(types)]


def _has_body() -> bool:
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def _end(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-ID"] = g.get("request_id", "-")
    if (standing := g.get("standing")) is not None:
        response.headers.update(standing.headers)
    quiet = request.path.endswith(("/healthz", "/readyz", "/metrics"))  # asked every few seconds
    fields = {
        "request_id": g.get("request_id", "-"),
        "method": request.method,
        "path": strict.printable(request.path),
        "status": response.status_code,
        "ms": round(1000 * (time.perf_counter() - g.get("began", time.perf_counter())), 1),
    }
    _log.log(
        logging.DEBUG if quiet else logging.INFO,
        "%s %s %s %d %.1f ms",
        *fields.values(),
        extra=fields,
    )
    return response


def _forget(_: BaseException | None) -> None:
    """Let the thread say nothing more of this request."""
    logs.tell_nothing()
