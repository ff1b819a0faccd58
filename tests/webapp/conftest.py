"""Fixtures for the tests of the service."""

from __future__ import annotations

from tests.webapp.databases import (  # noqa: F401
    database,
    database_url,
    empty_database,
    empty_database_url,
    new_database_url,
    postgresql_template,
    sqlite_template,
)
from tests.webapp.running import (  # noqa: F401
    backend,
    idle_service,
    redis_url,
    running_service,
    service_home,
)
from tests.webapp.writing import api, api_settings  # noqa: F401
