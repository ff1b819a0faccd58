"""Interpreters, platforms and jobs for the tests of solve_scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workflow import solving
from tests.workflow.warm import Warm, warm


@pytest.fixture(scope="session")
def linopy_warm(
    stage_env: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warm]:
    """Give an interpreter of the stages build and solve that need not import linopy again."""
    python = stage_env("linopy") / "bin" / "python"
    with warm(python, tmp_path_factory.mktemp("warm"), "linopy", "highspy", "netCDF4") as waiting:
        yield waiting


@pytest.fixture(scope="session")
def transport_platform(
    ixmp4_warm: Warm, empty_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Give a platform that has the transport problem; tests do not write to it."""
    path = tmp_path_factory.mktemp("platform") / "transport.db"
    path.write_bytes(empty_sqlite.read_bytes())
    done = ixmp4_warm.run([solving.EXAMPLES / "put_transport.py", f"sqlite:///{path}"])
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def solve_job(
    tmp_path: Path, ixmp4_warm: Warm, linopy_warm: Warm, transport_platform: Path
) -> solving.Job:
    """Give a job on that platform."""
    dsn = f"sqlite:///{transport_platform}"
    return solving.Job(tmp_path / "job", ixmp4_warm, linopy_warm, dsn)
