"""The REST API: an application over a `Service`."""

from __future__ import annotations

from importlib.metadata import version

from apiflask import APIFlask
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp.api import (
    actions,
    deliveries,
    directory,
    docs,
    envelope,
    events,
    files,
    health,
    incidents,
    job,
    listing,
    log,
    metrics,
    openapi,
    operations,
    problem,
    strict,
    submit,
    types,
)
from webapp.service import Service

PREFIX = "/api/v1"
_PARTS = (
    submit,
    listing,
    job,
    actions,
    deliveries,
    events,
    log,
    files,
    directory,
    types,
    operations,
    health,
    incidents,
    metrics,
)


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
    trust_proxies(app, service.settings.trusted_proxies)
    app.request_class = strict.StrictRequest
    app.json = strict.StrictJSON(app)
    app.config.update(_OPENAPI)
    app.spec_processor(openapi.complete)
    envelope.register(app, service.settings.upload_limit)
    problem.register(app)
    for part in _PARTS:
        app.register_blueprint(part.blueprint, url_prefix=PREFIX)
    app.register_blueprint(health.blueprint, name="health_of_host", url_prefix="")
    app.register_blueprint(metrics.blueprint, name="metrics_of_host", url_prefix="")
    app.register_blueprint(docs.blueprint, url_prefix="/api")
    return app


def trust_proxies(app: APIFlask, number: int) -> None:
    """Believe what so many proxies say of the client: its address, scheme and host.

    Parameters
    ----------
    app : APIFlask
        The application.
    number : int
        Proxies in front of it, each of which adds to ``X-Forwarded-For``, ``-Proto`` and ``-Host``.
        Of anything more in these headers, the client itself has said it.
    """
    if number:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=number, x_proto=number, x_host=number
        )


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
