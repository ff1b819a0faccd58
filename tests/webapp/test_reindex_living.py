"""Reindexing while jobs run: their supervisors tell of what happens, as if nothing were done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

from tests.webapp.attempts import begin, claimed, end
from tests.webapp.worlds import add_worker, make_home, open_service, row
from webapp import supervisor
from webapp.models import Delivery
from webapp.reindex import reindex

HOOK = """\
webhooks:
  - {name: explorer, url: "http://127.0.0.1:9/", secret: "env:TEST_HOOK", events: [stage.running]}
"""


def test_events_of_a_job_that_runs_are_left_to_who_tells_of_them(
    new_database_url: Callable[..., str], tmp_path: Path
) -> None:
    make_home(tmp_path / "home", {"default": HOOK})
    service = open_service(tmp_path / "home", new_database_url("sqlite", True))
    add_worker(service)
    job_id, directory = claimed(service)
    with supervisor.hold(directory.path) as held:
        assert held
        begin(directory)
        directory.events.append("stage", source="snakemake", stage="only", status="running")
        report = reindex(service)
        assert (report.unchanged, report.updated, report.problems) == (1, 0, [])
        end(service, directory, "succeeded")
    with service.db.read() as session:
        assert [found.event for found in session.scalars(select(Delivery))] == ["stage.running"]
    assert row(service, job_id).status == "succeeded"
