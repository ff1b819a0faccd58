"""Where something is broken or gone, reindex goes on and says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from sqlalchemy import select

from runner import launch
from runner.home import Home
from tests.webapp.attempts import run
from tests.webapp.rebuilding import Lose, kept_service, losing  # noqa: F401
from tests.webapp.worlds import add_worker, assert_counts_are_true, row
from webapp.models import Job
from webapp.reindex import reindex
from webapp.service import Service


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


def test_it_goes_on_past_broken_directories_and_lists_each(service: Service, lose: Lose) -> None:
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
    service: Service, lose: Lose
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
    service: Service, lose: Lose
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
