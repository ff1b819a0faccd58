"""What all tests share: real data, stage environments, homes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.environments import EnvironmentStore
from tests.postgresql import postgres  # noqa: F401
from tests.webapp.databases import (  # noqa: F401
    database,
    database_url,
    empty_database,
    empty_database_url,
    new_database_url,
    postgresql_template,
    sqlite_template,
)

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"  # kept between runs
ENVIRONMENTS = ROOT / ".jobrunner" / "environments"  # shared with `make demo`: keyed by content


def pytest_configure(config: pytest.Config) -> None:
    """Rules must run as users run them: with byte code, and with no setting of the caller."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.pop("JOBRUNNER_HOME", None)
    os.environ.pop("JOBRUNNER_PLATFORM_DSN", None)
    os.environ["JOBRUNNER_ENVS"] = str(ENVIRONMENTS)
    os.environ["JOBRUNNER_PLATFORM_WAIT"] = "0"  # a platform that is away stays so


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Turn a skip into a failure where CI forbids skips."""
    outcome = yield
    report = outcome.get_result()
    if (
        report.skipped
        and os.environ.get("JOBRUNNER_FORBID_SKIPS")
        and not hasattr(report, "wasxfail")
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI forbids: {report.longrepr}"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real public files beside the checkout, or those named by the environment."""
    named = os.environ.get("JOBRUNNER_SHARED_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not (folder / "SOURCES.md").is_file():
        pytest.skip(f"the real data are not there: {folder}")
    return folder


@pytest.fixture(scope="session")
def stage_env() -> Callable[[str], Path]:
    """Give the built environment of ``envs/<name>.yaml``; its python is ``bin/python``."""

    def build(name: str) -> Path:
        store = EnvironmentStore(ENVIRONMENTS)
        return store.build(ROOT / "envs" / f"{name}.yaml", [ROOT / "envs"])

    return build


@pytest.fixture(scope="session")
def example_processing_env() -> Path:
    """The environment of the example processing repository, with nomenclature in it."""
    from runner.processing import pin

    pinned = pin(
        str(ROOT / "examples" / "project-workflow"),
        store=CACHE / "processing",
        revision=None,
        entry="main",
        as_of=None,
    )
    return EnvironmentStore(ENVIRONMENTS).build(pinned.environment, [pinned.environment.parent])


@pytest.fixture
def git_repository(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Make a git repository with one commit of the given files."""

    def make(files: dict[str, str]) -> Path:
        folder = tmp_path / "repository"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        commands = (
            ["init", "-q", "-b", "main"],
            ["add", "-A"],
            ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "first"],
        )
        for command in commands:
            subprocess.run(["git", "-C", str(folder), *command], check=True)
        return folder

    return make
