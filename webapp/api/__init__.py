"""The REST API: an application over a `Service`."""

from __future__ import annotations

from importlib.metadata import version

from apiflask import APIFlask

from webapp.api import (
    actions,
    docs,
    envelope,
    events,
    files,
    health,
    job,
    listing,
    log,
    openapi,
    operations,
    problem,
    strict,
    submit,
    types,
)
from webapp.service import Service

PREFIX = "/api/v1"
_PARTS = (submit, listing, job, actions, events, log, files, types, operations, health)


def create_app(service: Service) -> APIFlask:
    """Make the WSGI application.

    Parameters
    ----------
    service : Service
        What it works with; views find it as ``current_app.extensions["jobrunner"]``.
    """
    app = APIFlask(
        __name__,
        title="IXMP Job Runner",
        version=version("ixmp-jobrunner"),
        spec_path="/api/openapi.json",
        docs_path=None,
        static_folder=None,  # type: ignore[arg-type]  # Flask takes None: no such route
        json_errors=False,
    )
    app.extensions["jobrunner"] = service
    app.request_class = strict.StrictRequest
    app.json = strict.StrictJSON(app)
    app.config.update(_OPENAPI)
    app.spec_processor(openapi.complete)
    envelope.register(app, service.settings.upload_limit)
    problem.register(app)
    for part in _PARTS:
        app.register_blueprint(part.blueprint, url_prefix=PREFIX)
    app.register_blueprint(health.blueprint, name="health_of_host", url_prefix="")
    app.register_blueprint(docs.blueprint, url_prefix="/api")
    return app


_OPENAPI = {
    "DESCRIPTION": openapi.DESCRIPTION,
    "SERVERS": [{"url": "/", "description": "This service."}],
    "SECURITY_SCHEMES": openapi.SECURITY_SCHEMES,
    "LICENSE": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    # openapi.complete adds errors in the one shape that they have
    "AUTO_404_RESPONSE": False,
    "AUTO_VALIDATION_ERROR_RESPONSE": False,
    "AUTO_AUTH_ERROR_RESPONSE": False,
}
