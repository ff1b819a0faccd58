"""Fixtures for the tests of the service."""

from __future__ import annotations

from tests.webapp.running import (  # noqa: F401
    backend,
    idle_service,
    redis_url,
    running_service,
    service_home,
)
from tests.webapp.signing import issuers  # noqa: F401
from tests.webapp.writing import api, api_settings  # noqa: F401
