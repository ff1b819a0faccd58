"""Fixtures for the tests of the service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.webapp.running import (  # noqa: F401
    backend,
    idle_service,
    redis_url,
    running_service,
    service_home,
)
from tests.webapp.signing import issuers  # noqa: F401
from tests.webapp.worlds import close_services
from tests.webapp.writing import api, api_settings  # noqa: F401


@pytest.fixture(autouse=True)
def closed_services() -> Iterator[None]:
    """Leave no connection of a test to the garbage collector, which would warn in another test."""
    yield
    close_services()
