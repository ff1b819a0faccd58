"""Kill -9 of the leader in each stage, then rerun: as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.prepared import Prepared
from runner.state import JobState

from .conftest import finish


def _kill_in(prepared: Prepared, stage: str) -> str:
    """Start an attempt, kill its leader as soon as `stage` runs, and give the outcome."""
    last = list(prepared.job.events.read())[-1]["n"]
    attempt = prepared.start(prepared.options())

    def kill(event: dict[str, Any]) -> None:
        if event.get("stage") == stage and event["status"] == "running":
            os.kill(attempt.pid, signal.SIGKILL)

    return attempt.follow(kill, since=last)


def _result(prepared: Prepared, name: str) -> Any:
    return json.loads((prepared.job.path / "results" / name).read_text())


def _versions(home: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(home / "platforms" / "local.db") as platform:
        return platform.execute(
            "SELECT m.name, s.name, r.version, r.is_default FROM run r JOIN model m ON m.id ="
            " r.model__id JOIN scenario s ON s.id = r.scenario__id ORDER BY 1, 2, 3"
        ).fetchall()


def test_a_job_whose_leader_is_killed_in_each_stage_ends_as_an_undisturbed_one(
    import_job: Callable[..., Prepared], tmp_path: Path
) -> None:
    undisturbed = import_job(tmp_path / "quiet", processing=True)
    finish(undisturbed)
    disturbed = import_job(tmp_path / "rough", processing=True)
    for stage in disturbed.job_type.stage_names:
        assert _kill_in(disturbed, stage) == "interrupted", stage
    finish(disturbed)
    state = JobState(disturbed.job_type, disturbed.job.events.read())
    assert {stage.status for stage in state.stages.values()} == {"succeeded"}
    assert _versions(tmp_path / "rough") == _versions(tmp_path / "quiet")
    assert [row[2:] for row in _versions(tmp_path / "rough")] == [(1, 1)] * 6
    assert _result(disturbed, "import.json")["runs"] == _result(undisturbed, "import.json")["runs"]
    for name in ("processed.parquet", "processed_meta.parquet"):
        files = [job.job.path / "results" / name for job in (disturbed, undisturbed)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_importing_again_on_request_makes_no_second_version(
    import_job: Callable[..., Prepared], shared_data: Path, tmp_path: Path
) -> None:
    prepared = import_job(tmp_path / "home", shared_data / "pyam_test_df.xlsx")
    finish(prepared)
    before, first = _versions(tmp_path / "home"), _result(prepared, "import.json")
    finish(prepared, stage="import", only=True)
    assert _versions(tmp_path / "home") == before
    assert _result(prepared, "import.json") == first


def test_the_same_workbook_in_another_job_makes_a_second_version_which_becomes_default(
    import_job: Callable[..., Prepared], shared_data: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        prepared = import_job(tmp_path / "home", shared_data / "pyam_test_df.xlsx")
        finish(prepared)
    assert [row[2:] for row in _versions(tmp_path / "home")] == [(1, 0), (2, 1)] * 2
