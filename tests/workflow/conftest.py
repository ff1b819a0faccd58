"""Platforms and interpreters for the tests of the job types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow.layer_fixtures import geo_warm, layer_job  # noqa: F401
from tests.workflow.meta_platforms import (  # noqa: F401
    meta_job,
    postgres_job,
    seeded_postgres,
    seeded_sqlite,
    sqlite_job,
)
from tests.workflow.platforms import (  # noqa: F401
    empty_sqlite,
    ixmp4_python,
    ixmp4_warm,
    migrated,
    postgres_dsn,
    sqlite_platform,
)
from tests.workflow.snapshots import (  # noqa: F401
    filled,
    filled_postgres,
    filled_sqlite,
    filled_template,
    snapshot_warm,
    stages,
)
from tests.workflow.solve_fixtures import (  # noqa: F401
    linopy_warm,
    solve_job,
    transport_platform,
)
from tests.workflow.warm import Warm, warm


@pytest.fixture(scope="session")
def processing_warm(
    example_processing_env: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warm]:
    """Give an interpreter of the example repository's environment, nomenclature imported."""
    python = example_processing_env / "bin" / "python"
    names = ("nomenclature", "pyam", "pyarrow.parquet")
    with warm(python, tmp_path_factory.mktemp("warm"), *names) as waiting:
        yield waiting
