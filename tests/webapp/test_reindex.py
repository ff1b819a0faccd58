"""`jobrunner reindex`: the directories are enough to have every job back as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select, update

from runner import launch
from runner.home import Home
from tests.webapp.attempts import begin, claimed, end, run
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
from webapp.models import Artifact, Delivery, Job
from webapp.reconcile import reconcile
from webapp.reindex import reindex
from webapp.service import Service

SETTINGS: dict[str, Any] = {"max_interruptions": 1, "mail": "smtp://127.0.0.1:9"}


@pytest.fixture(params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest, new_database_url: Callable[..., str], tmp_path: Path
) -> Iterator[Service]:
    make_home(tmp_path / "home", {"default": "", "other": "running: 1\n"})
    profile = tmp_path / "home" / "config" / "profiles" / "big.yaml"
    profile.write_text(
        "platform: {embedded: none.db}\nenvironments: none\npool: large\n"
        "limits: {cores: 3, mem_mb: 2000}\n"
    )
    opened = open_service(tmp_path / "home", new_database_url(request.param), **SETTINGS)
    add_worker(opened, slots=100)
    yield opened
    opened.db.engine.dispose()


@pytest.fixture
def lose(service: Service, new_database_url: Callable[..., str]) -> Iterator[Any]:
    """Give the same service with a new, empty database."""
    opened: list[Service] = []

    def make() -> Service:
        kind = "sqlite" if service.db.is_sqlite else "postgresql"
        opened.append(open_service(service.home.path, new_database_url(kind), **SETTINGS))
        return opened[-1]

    yield make
    for one in opened:
        one.db.engine.dispose()


def _history(service: Service) -> dict[str, str]:
    """Have jobs of which everything has happened that can happen; ids by what it was."""
    made: dict[str, str] = {}
    made["succeeded"], _ = run(service, tags=["round 1", "a"], priority=7, notify=["a@b.example"])
    made["failed"], _ = run(service, "failed", instance="other", version="trivial-1")
    made["timed out"], _ = run(service, "timed_out")
    made["waiting"] = jobs.submit(service, trivial(priority=-3, profile="big")).job.id
    made["resubmitted"] = jobs.resubmit(service, made["succeeded"], "joe").job.id
    made["changed"] = jobs.submit(service, trivial(tags=["x"])).job.id
    jobs.change(service, made["changed"], "joe", priority=9, tags=["y", "Ümläut z"], pinned=True)
    made["cancelled"] = jobs.submit(service, trivial()).job.id
    jobs.cancel(service, made["cancelled"], "joe")
    made["rerun"], directory = run(service, "failed")
    jobs.rerun(service, made["rerun"], "joe", stage="only", only=True)
    jobs.claim(service, made["rerun"], row(service, made["rerun"]).fence, "worker-1")
    begin(directory)
    end(service, directory, "succeeded")
    made["to be rerun"], _ = run(service)
    jobs.rerun(service, made["to be rerun"], "joe", stage="only")
    made["running"], directory = claimed(service)
    begin(directory)
    jobs.take_over(service, made["running"])
    made["interrupted"], directory = claimed(service)
    begin(directory)
    (directory.path / "results" / "half.txt").write_text("ha")
    jobs.interrupted(service, made["interrupted"])
    made["given up"], directory = claimed(service)
    for _ in range(2):
        begin(directory)
        jobs.interrupted(service, made["given up"])
        jobs.claim(service, made["given up"], row(service, made["given up"]).fence, "worker-1")
    made["stopping"], directory = claimed(service)
    begin(directory)
    jobs.cancel(service, made["stopping"], "joe")
    made["stopping before it began"], _ = claimed(service)
    jobs.cancel(service, made["stopping before it began"], "joe")
    made["elsewhere"] = jobs.submit(service, trivial(profile="big")).job.id
    jobs.append(service, made["elsewhere"], "hpc", "status", "2026-11-22T01:02:03.004Z",
                status="running")  # fmt: skip
    jobs.append(service, made["elsewhere"], "hpc", "progress", "2026-11-22T01:02:04.004Z",
                done=1, total=2)  # fmt: skip
    made["swept"], _ = run(service)
    jobs.remove(service, made["swept"], lambda _: {"results": "old"}, "age")
    deleted, _ = run(service)
    jobs.delete(service, deleted)
    return made


def test_after_a_varied_history_every_row_is_as_in_the_lost_database(
    service: Service, lose: Callable[[], Service]
) -> None:
    made = _history(service)
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


def test_nobody_is_told_again_of_what_happened_before(
    service: Service, lose: Callable[[], Service]
) -> None:
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


def test_done_again_it_changes_nothing(service: Service, lose: Callable[[], Service]) -> None:
    made = _history(service)
    again = lose()
    reindex(again)
    before = rebuilt(again.db)
    report = reindex(again)
    assert (report.added, report.updated, report.unchanged) == (0, 0, len(made))
    assert rebuilt(again.db) == before
    assert reindex(service).added == 0  # nor does it change what was never lost


def test_what_is_missing_is_added_and_what_is_older_is_brought_up_to_date(
    service: Service, lose: Callable[[], Service]
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


def test_unfinished_jobs_end_after_it(service: Service, lose: Callable[[], Service]) -> None:
    made = _history(service)
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


def _break(path: Path, how: str) -> None:
    events, request = path / "events.jsonl", path / "job.yaml"
    if how == "no request":
        request.unlink()
    elif how == "no YAML":
        request.write_text("{")
    elif how == "another's request":
        request.write_text(request.read_text().replace(path.name, "0123456789"))
    elif how == "a request without a release":
        request.write_text(request.read_text().replace("release:", "leash:"))
    elif how == "no events":
        events.unlink()
    elif how == "a number twice":
        events.write_text(events.read_text() * 2)
    else:
        line = json.dumps({"n": 1, "time": "now", "kind": "status", "source": "x"})
        events.write_text(line + "\n")


BROKEN = ("no request", "no YAML", "another's request", "a request without a release",
          "no events", "a number twice", "an event without its status")  # fmt: skip


def test_it_goes_on_past_broken_directories_and_lists_each(
    service: Service, lose: Callable[[], Service]
) -> None:
    broken = [run(service)[1].path for _ in BROKEN]
    good = [run(service)[0] for _ in range(3)]
    for path, how in zip(broken, BROKEN, strict=True):
        _break(path, how)
    again = lose()
    report = reindex(again)
    home = service.home.path
    assert [p["directory"] for p in sorted(report.problems, key=lambda p: p["directory"])] == [
        path.relative_to(home).as_posix() for path in broken
    ]
    assert all(problem["message"] for problem in report.problems)
    with again.db.read() as session:
        assert list(session.scalars(select(Job.id).order_by(Job.id))) == good
    assert_counts_are_true(again)


def test_directories_and_rows_that_lack_each_other_are_told_from_each_other(
    service: Service, lose: Callable[[], Service]
) -> None:
    gone, directory = run(service)
    shutil.rmtree(directory.path)
    old, directory = run(service)
    whole = directory.events.path.read_text()
    directory.events.path.write_text(whole.splitlines(keepends=True)[0])
    launch.create(
        Home(service.home.path), "trivial", inputs={}, params={}, profile_name="plain",
        version="trivial-1",
    )  # fmt: skip
    draft = launch.draft(
        Home(service.home.path), "trivial", inputs={}, params={}, profile_name="plain",
        version="trivial-1", queue={"priority": 0},
    )  # fmt: skip
    report = reindex(service)
    assert (report.others, report.drafts, report.added) == (1, 1, 0)
    assert draft.job.path.is_dir()
    found = {Path(problem["directory"]).name: problem["message"] for problem in report.problems}
    assert set(found) == {gone, old}
    assert "directory is gone" in found[gone]
    assert "older than its row" in found[old]


def test_a_job_whose_profile_and_release_are_gone_is_listed_all_the_same(
    service: Service, lose: Callable[[], Service]
) -> None:
    add_worker(service, "large")
    job_id, _ = run(service, profile="big")
    (service.home.path / "config" / "profiles" / "big.yaml").unlink()
    shutil.rmtree(service.home.path / "releases" / "trivial-1")
    again = lose()
    assert reindex(again).problems == []
    found = row(again, job_id)
    assert (found.status, found.pool, found.cores) == ("succeeded", "default", 1)
    assert (found.profile, found.version) == ("big", "trivial-1")


def test_it_works_in_batches_and_tells_how_far_it_is(
    service: Service, lose: Callable[[], Service], monkeypatch: pytest.MonkeyPatch
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
