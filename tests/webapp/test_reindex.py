"""`jobrunner reindex`: the directories are enough to have every job back as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select, update

from tests.webapp.attempts import begin, claimed, end, run
from tests.webapp.rebuilding import Lose, history, kept_service, losing  # noqa: F401
from tests.webapp.tables import rebuilt
from tests.webapp.worlds import (
    add_worker,
    assert_counts_are_true,
    make_home,
    open_service,
    row,
    trivial,
)
from webapp import jobs
from webapp import reindex as module
from webapp.cli.reindex import reindex as command
from webapp.models import Artifact, Delivery
from webapp.reconcile import reconcile
from webapp.reindex import reindex
from webapp.service import Service


def test_after_a_varied_history_every_row_is_as_in_the_lost_database(
    service: Service, lose: Lose
) -> None:
    made = history(service)
    again = lose()
    report = reindex(again)
    assert (report.problems, report.added, report.found) == ([], len(made), len(made))
    wanted, found = rebuilt(service.db), rebuilt(again.db)
    assert found["jobs"] == wanted["jobs"]
    assert found == wanted
    assert_counts_are_true(again)
    pinned = row(again, made["changed"])
    assert (pinned.pinned, pinned.priority, pinned.tags) == (True, 9, ["y", "Ümläut z"])
    assert (row(again, made["waiting"]).pool, row(again, made["waiting"]).cores) == ("large", 3)


def test_nobody_is_told_again_of_what_happened_before(service: Service, lose: Lose) -> None:
    run(service, notify=["jane@example.org"])
    job_id, directory = claimed(service, notify=["joe@example.org"])
    again = lose()
    reindex(again)
    begin(directory)
    end(service, directory, "succeeded")
    assert reindex(again).updated == 1
    assert row(again, job_id).status == "succeeded"
    for one, number in ((service, 2), (again, 0)):
        with one.db.read() as session:
            assert len(list(session.scalars(select(Delivery)))) == number


def test_done_again_it_changes_nothing(service: Service, lose: Lose) -> None:
    made = history(service)
    again = lose()
    reindex(again)
    before = rebuilt(again.db)
    report = reindex(again)
    assert (report.added, report.updated, report.unchanged) == (0, 0, len(made))
    assert rebuilt(again.db) == before
    assert reindex(service).added == 0  # nor does it change what was never lost


def test_what_is_missing_is_added_and_what_is_older_is_brought_up_to_date(
    service: Service, lose: Lose
) -> None:
    first, directory = claimed(service)
    again = lose()
    reindex(again)
    begin(directory)
    (directory.path / "results" / "only.txt").write_text("word\n")
    end(service, directory, "succeeded")
    run(service)
    report = reindex(again)
    assert (report.added, report.updated, report.problems) == (1, 1, [])
    assert rebuilt(again.db) == rebuilt(service.db)
    assert row(again, first).status == "succeeded"


def test_unfinished_jobs_end_after_it(service: Service, lose: Lose) -> None:
    made = history(service)
    again = lose()
    reindex(again)
    add_worker(again, slots=100)
    reconcile(again)
    assert row(again, made["stopping"]).status == "cancelled"
    assert row(again, made["stopping before it began"]).status == "cancelled"
    for name in ("running", "interrupted"):
        job = row(again, made[name])
        assert (job.status, job.admitted is None, job.interruptions) == ("queued", False, 1)
        assert jobs.claim(again, job.id, job.fence, "worker-2") is not None
    assert row(again, made["elsewhere"]).status == "running"
    assert_counts_are_true(again)


def test_it_works_in_batches_and_tells_how_far_it_is(
    service: Service, lose: Lose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    for _ in range(5):
        jobs.submit(service, trivial())
    told: list[tuple[int, int]] = []
    again = lose()
    assert reindex(again, lambda done, of: told.append((done, of))).added == 5
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_artifacts_that_were_not_noted_yet_are_noted(service: Service) -> None:
    job_id, _ = run(service)
    rerun, directory = run(service)
    before = rebuilt(service.db)
    with service.db.write() as session:  # what a backup has that was made at that moment
        session.execute(delete(Artifact).where(Artifact.job_id == job_id))
        session.execute(update(Artifact).where(Artifact.job_id == rerun).values(bytes=1, sha256=""))
    report = reindex(service)
    assert (report.updated, report.problems) == (2, [])
    assert rebuilt(service.db) == before
    assert (directory.path / "results" / "only.txt").is_file()
    assert reindex(service).updated == 0


def test_the_command_makes_the_tables_and_says_what_it_did(
    new_database_url: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_home(tmp_path / "home")
    service = open_service(tmp_path / "home", new_database_url("sqlite"))
    run_ids = [jobs.submit(service, trivial()).job.id for _ in range(3)]
    monkeypatch.setenv("JOBRUNNER_DATABASE_URL", f"sqlite:///{tmp_path / 'new.db'}")
    options = ["--home", str(tmp_path / "home")]
    monkeypatch.setenv("JOBRUNNER_HOME", str(tmp_path / "home"))
    said = CliRunner().invoke(command, options)
    assert said.exit_code == 0, said.output
    assert "3 jobs: 3 added, 0 brought up to date, 0 were right." in said.stdout
    (service.home.path / row(service, run_ids[0]).directory / "events.jsonl").write_text("")
    said = CliRunner().invoke(command, [*options, "--json"])
    document = json.loads(said.stdout)
    assert said.exit_code == 1
    assert (document["found"], len(document["problems"])) == (3, 1)
    service.db.engine.dispose()
