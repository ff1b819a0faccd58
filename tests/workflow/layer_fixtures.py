"""Jobs of import_layers for tests, on an SQLite platform that knows three regions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workflow.layering import SQUARES, Job, add_regions
from tests.workflow.warm import Warm, warm


@pytest.fixture(scope="session")
def geo_warm(
    stage_env: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warm]:
    """Give an interpreter that need not import geopandas again."""
    python = stage_env("geo") / "bin" / "python"
    names = ("geopandas", "pyogrio", "pyproj", "pyarrow.parquet", "psycopg", "python_calamine")
    drawing = "matplotlib.backends.backend_agg"
    with warm(python, tmp_path_factory.mktemp("warm"), *names, drawing) as waiting:
        yield waiting


@pytest.fixture
def layer_job(tmp_path: Path, geo_warm: Warm, sqlite_platform: Path) -> Job:
    """Give a job whose platform knows the regions of `SQUARES`."""
    add_regions(sqlite_platform, list(SQUARES))
    return Job(tmp_path, geo_warm, sqlite_platform)
