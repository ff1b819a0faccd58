"""The page that shows the API; all of it comes from this service."""

from __future__ import annotations

from pathlib import Path

from apiflask import APIBlueprint
from flask import Response, send_from_directory
from werkzeug.exceptions import NotFound

_STATIC = Path(__file__).resolve().parents[1] / "static"
_FILES = {
    "start.js": "docs",
    "swagger-ui-bundle.js": "swagger-ui",
    "swagger-ui.css": "swagger-ui",
    "favicon-32x32.png": "swagger-ui",
}
# Swagger UI has its icons in `data:` addresses, and sets style attributes.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

blueprint = APIBlueprint("docs", __name__, enable_openapi=False)


@blueprint.get("/docs")
def page() -> Response:
    """Show the API, with forms to try it."""
    response = send_from_directory(_STATIC / "docs", "index.html", max_age=0)
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@blueprint.get("/docs/<name>")
def file(name: str) -> Response:
    """Give a file of the page."""
    if name not in _FILES:
        raise NotFound("The page has no such file.")
    return send_from_directory(_STATIC / _FILES[name], name, max_age=86400)
