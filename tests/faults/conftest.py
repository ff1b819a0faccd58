"""Jobs of the real job type, in homes of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner import launch
from runner.home import Home
from runner.launch import ProcessingRequest
from runner.prepared import Prepared
from runner.state import JobState
from tests.webapp.running import backend, idle_service, service_home  # noqa: F401

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def finish(prepared: Prepared, **options: object) -> None:
    """Run an attempt that must succeed; if it does not, show why."""
    outcome = prepared.start(prepared.options(**options)).wait()
    state = JobState(prepared.job_type, prepared.job.events.read())
    assert outcome == "succeeded", (outcome, state.error)


@pytest.fixture
def import_job() -> Callable[..., Prepared]:
    """Make an import job of the example workbook, or of another file, in a given home."""

    def make(home: Path, workbook: Path | None = None, *, processing: bool = False) -> Prepared:
        wanted = ProcessingRequest(str(EXAMPLES / "project-workflow")) if processing else None
        return launch.create(
            Home(home),
            "import_timeseries",
            inputs={"workbook": workbook or EXAMPLES / "example-workbook.xlsx"},
            params={},
            processing_request=wanted,
        )

    return make
