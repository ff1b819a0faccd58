"""Real SLURM clusters of the session, each started when the first test asks for it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, missing
from tests.slurm.configuration import Options
from tests.slurm.files import without_cgroups

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before xdist looks for the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all of them in one process: they share the clusters."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group("slurm"))


@contextmanager
def started(options: Options) -> Iterator[Cluster]:
    """Run a cluster in a folder of its own; skip where its programs are not installed."""
    if absent := missing(with_accounting=options.accounting):
        pytest.skip(f"not installed: Debian's packages {', '.join(absent)}")
    # Short: sockets allow 107 characters. Files of root go with it, whoever the daemons ran as.
    with (
        tempfile.TemporaryDirectory(prefix="jobrunner-slurm-") as folder,
        Cluster(Path(folder), options) as cluster,
    ):
        yield cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Four nodes without accounting; memory is watched every second."""
    with started(Options()) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def accounting_cluster() -> Iterator[Cluster]:
    """Four nodes with accounting; accounts, limits and QOS are enforced."""
    with started(Options(accounting=True)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def cgroup_cluster() -> Iterator[Cluster]:
    """Two nodes with accounting, whose jobs have their memory limited by cgroups."""
    if reason := without_cgroups():
        pytest.skip(reason)
    with started(Options(nodes=2, accounting=True, cgroups=True, prefix="c")) as cluster:
        yield cluster


@pytest.fixture
def slurm_conf(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Make SLURM's commands talk to the cluster without accounting during a test."""
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    return cluster


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """An empty folder with a short path, for a cluster that a test makes itself."""
    if absent := missing():
        pytest.skip(f"not installed: Debian's packages {', '.join(absent)}")
    with tempfile.TemporaryDirectory(prefix="jobrunner-slurm-") as folder:
        yield Path(folder)
