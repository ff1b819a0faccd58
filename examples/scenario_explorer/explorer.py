"""A web application that embeds jobs of one type: submitting, listing, following.

It stands for a Scenario Explorer. Its pages talk to it alone, under its own origin; it talks to the
job runner. What is new it hears by webhooks, and tells its pages by server-sent events.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from changes import Changes
from flask import Flask, Response, jsonify, request, send_from_directory
from runner_api import File, Refused, Runner
from webhooks import NotSigned, Seen, verify
from werkzeug.exceptions import BadRequest, Forbidden

_STATIC = Path(__file__).with_name("static")
_LARGEST_WEBHOOK = 1_000_000  # bytes
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " + (
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_log = logging.getLogger("explorer")


def create_app(runner: Runner, secret: bytes, user: str) -> Flask:
    """Make the application.

    `user` is who is logged in. Your own application knows that from its session; nothing that a
    browser sends may decide it.
    """
    app = Flask(__name__, static_folder=None)
    changes, seen = Changes(), Seen()

    @app.before_request
    def refuse_other_sites() -> None:
        """Let no page of another origin submit jobs in the name of a user who is logged in."""
        if request.path.startswith("/api/") and _is_foreign():
            raise Forbidden("Only pages of this application may ask this.")

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.errorhandler(Refused)
    def refused(error: Refused) -> Any:
        headers = {"Retry-After": error.retry_after} if error.retry_after else {}
        return jsonify(error.problem), error.status, headers

    @app.get("/")
    def page() -> Response:
        return send_from_directory(_STATIC, "index.html")

    @app.get("/static/<path:name>")
    def static_file(name: str) -> Response:
        return send_from_directory(_STATIC, name)

    @app.get("/api/type")
    def job_type() -> Any:
        return jsonify(runner.type(user))

    @app.get("/api/jobs")
    def jobs() -> Any:
        return jsonify(runner.jobs(user))

    @app.get("/api/jobs/<job_id>")
    def job(job_id: str) -> Any:
        return jsonify(runner.job(user, job_id))

    @app.post("/api/jobs")
    def submit() -> Any:
        key = request.headers.get("Idempotency-Key")
        if not key:
            raise BadRequest("The header Idempotency-Key is missing.")
        try:
            params = json.loads(request.form.get("params", "{}"))
        except ValueError:
            raise BadRequest("The part params is no JSON.") from None
        files = [File(k, f.filename or k, f.stream) for k, f in request.files.items()]
        return jsonify(runner.submit(user, key, params, files)), 202

    @app.get("/api/changes")
    def stream() -> Response:
        headers = {"X-Accel-Buffering": "no"}
        return Response(changes.stream(user), mimetype="text/event-stream", headers=headers)

    @app.post("/webhooks")
    def webhook() -> Any:
        request.max_content_length = _LARGEST_WEBHOOK
        body = request.get_data()
        try:
            identifier = verify(secret, request.headers, body)
        except NotSigned as error:
            _log.warning("a webhook is refused: %s", error)
            return "", 401
        job = json.loads(body)["data"]["job"]
        ours = (job["type"], job["instance"]) == (runner.job_type, runner.instance)
        if ours and seen.is_new(identifier):
            # only that something is new: what is true now, the page asks for
            changes.tell(job["user"], {"id": job["id"]})
        return "", 204

    return app


def _is_foreign() -> bool:
    """Tell whether a page of another origin asks; old browsers send no Sec-Fetch-Site."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    return request.headers.get("Origin", request.host_url.rstrip("/")) != request.host_url.rstrip(
        "/"
    )
