"""Platforms for the tests of the job types."""

from tests.workflow.platforms import (  # noqa: F401
    empty_sqlite,
    ixmp4_python,
    migrated,
    postgres,
    postgres_dsn,
    sqlite_platform,
)
