"""Jobs of the real job type, in homes of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner import launch
from runner.home import Home
from runner.launch import Prepared, ProcessingRequest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


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
