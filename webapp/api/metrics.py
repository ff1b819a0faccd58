"""``/metrics``: what monitors read."""

from __future__ import annotations

import hashlib
import time
from typing import cast

from apiflask import APIBlueprint
from flask import Response, copy_current_request_context, current_app, g, request
from prometheus_client import CONTENT_TYPE_LATEST

from webapp import metrics
from webapp.api import auth
from webapp.api.openapi import Responses
from webapp.db import DatabaseAway
from webapp.metrics.patience import within
from webapp.tokens import Identity

blueprint = APIBlueprint("metrics", __name__)
_REMEMBERED = 3600.0  # seconds for which a token may see that the database is away
_PATIENCE = 3.0  # seconds for the token; the page itself takes longer, monitors wait for 10 s
_KEY = "jobrunner_monitors"
_PAGE: Responses = {
    200: {
        "description": "The page, in the text format of Prometheus.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}

_Monitors = dict[str, tuple[float, Identity]]  # by hash of the token


@blueprint.get("/metrics")
@blueprint.doc(responses=_PAGE)
def read() -> Response:
    """Give metrics for Prometheus.

    The same page from every web process. It comes while the database or Redis is away, too, and
    says so. With a token of one instance, nothing of the others is in it.
    """
    service = auth.service()
    instance = None if service.settings.metrics_open else _monitor().instance
    page = metrics.page(service, instance)
    return Response(page, content_type=CONTENT_TYPE_LATEST)


def _monitor() -> Identity:
    """Give who asks; while the database is away, who has asked not long ago.

    Without the database the page says no more than that, and that is when it is needed most.
    """
    monitors = cast(_Monitors, current_app.extensions.setdefault(_KEY, {}))
    given = request.authorization.token if request.authorization else None
    key = hashlib.sha256((given or "").encode(errors="surrogateescape")).hexdigest()
    now = time.monotonic()
    for old in [k for k, (since, _) in monitors.items() if now - since > _REMEMBERED]:
        monitors.pop(old, None)
    try:
        found = _operator()
    except DatabaseAway:
        if key not in monitors:
            raise
        return monitors[key][1]
    monitors[key] = now, found
    return found


def _operator() -> Identity:
    """Give who asks, if the database says in time that they are an operator."""

    @copy_current_request_context
    def ask() -> tuple[Identity, object]:
        return auth.require("operator"), g.get("standing")

    found, g.standing = within(_PATIENCE, ask)
    return found
