"""A sweep removes what no policy keeps, and nothing else."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, update

from runner.retention import KINDS
from webapp import jobs, retention
from webapp.models import Job
from webapp.retention.policies import Policies
from webapp.retention.walk import Walk
from webapp.service import Service

from .retained import (
    add_status,
    hours_ago,
    job,
    kept,
    notes,
    path_of,
    publish,
    sweep_all,
    told,
    write_instance,
)
from .worlds import make_home, open_service, row

_TIMES = {"1h": 1, "12h": 12, "2d": 48, "1w": 168, "forever": float("inf")}
_TYPE_POLICIES: list[dict[str, Any]] = [
    {},
    {"work": "12h"},
    {"work": "1h", "results": "2d", "logs": "1w", "failed": {"work": "1w"}},
    {"work": "forever", "results": "1h", "failed": {"results": "12h", "logs": "1h"}},
]
_DEFAULT = {"work": 168, "failed": {"work": 720}}  # hours
_numbers = itertools.count(1)

times = st.dictionaries(st.sampled_from(KINDS), st.sampled_from(sorted(_TIMES)), max_size=3)
policies = st.builds(lambda ended, failed: {**ended, "failed": failed}, times, times)
descriptions = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["queued", "running", "succeeded", "failed", "cancelled"]),
        "hours": st.sampled_from([0, 0.9, 1.1, 11, 13, 47, 49, 167, 169, 800]),
        "pinned": st.sampled_from([False, False, False, True]),
        "type_policy": st.sampled_from(range(len(_TYPE_POLICIES))),
        "release_gone": st.sampled_from([False, False, False, True]),
    }
)


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Service:
    """A service whose disk is never low; *trivial* is there with several policies."""
    home = make_home(tmp_path / "home")
    service = open_service(home.path, database_url, disk_low=0, disk_reserve=0)
    for number, policy in enumerate(_TYPE_POLICIES):
        publish(service, f"policy-{number}", str(policy).replace("'", ""), tmp_path)
    return service


def _hours(kind: str, failed: bool, layers: list[dict[str, Any]]) -> float:
    """How long is kept, said once more: the last layer that says something counts."""
    ended, of_failed = float("inf"), None
    for layer in layers:
        ended = layer.get(kind, ended)
        of_failed = layer.get("failed", {}).get(kind, of_failed)
    return max(ended, of_failed) if failed and of_failed is not None else ended


def _in_hours(policy: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {k: _TIMES[v] for k, v in policy.items() if k != "failed"}
    return {**found, "failed": {k: _TIMES[v] for k, v in policy.get("failed", {}).items()}}


def _expected(described: dict[str, Any], own: dict[str, Any], of_type: dict[str, Any]) -> set[str]:
    if described["status"] in ("queued", "running") or described["pinned"]:
        return set(KINDS)
    layers = [_in_hours(own), _in_hours(of_type)]
    if not described["release_gone"]:
        layers = [_DEFAULT, _in_hours(_TYPE_POLICIES[described["type_policy"]]), *layers]
    failed = described["status"] == "failed"
    return {kind for kind in KINDS if described["hours"] < _hours(kind, failed, layers)}


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(own=policies, of_type=policies, described=st.lists(descriptions, min_size=1, max_size=5))
def test_a_sweep_never_removes_what_is_kept_and_removes_all_else(
    service: Service,
    own: dict[str, Any],
    of_type: dict[str, Any],
    described: list[dict[str, Any]],
) -> None:
    name = f"i{next(_numbers)}"
    rules = f"retention: {own}\ntypes: {{trivial: {{retention: {of_type}}}}}\n"
    write_instance(service, name, rules.replace("'", ""))
    ids = [
        job(
            service,
            wanted["hours"],
            wanted["status"],
            instance=name,
            version=f"policy-{wanted['type_policy']}",
            pinned=wanted["pinned"],
        )
        for wanted in described
    ]
    with service.db.write() as session:
        for job_id, wanted in zip(ids, described, strict=True):
            if wanted["release_gone"]:
                gone = update(Job).where(Job.id == job_id).values(digest="sha256:gone")
                session.execute(gone)
    sweep_all(service)
    for job_id, wanted in zip(ids, described, strict=True):
        expected = _expected(wanted, own, of_type)
        assert kept(service, job_id) == expected, wanted
        assert told(row(service, job_id)) == set(KINDS) - expected


def test_time_counts_from_the_end_of_the_job(service: Service) -> None:
    write_instance(service, "mine", "retention: {work: 2d}\n")
    old, rerun = (job(service, 49, instance="mine", version="policy-0") for _ in range(2))
    add_status(service, rerun, 3, "queued", "running", "failed")
    assert sweep_all(service) == 1
    assert kept(service, old) == {"results", "logs"}
    assert kept(service, rerun) == set(KINDS)


def test_a_job_that_is_being_rerun_is_not_swept(service: Service) -> None:
    waits, runs = (job(service, 9999) for _ in range(2))
    jobs.rerun(service, waits, "jane")
    add_status(service, runs, 0, "queued", "running")
    assert sweep_all(service) == 0
    assert kept(service, waits) == kept(service, runs) == set(KINDS)


def test_what_changes_between_look_and_removal_counts(service: Service) -> None:
    pinned, again = (job(service, 9999) for _ in range(2))
    stale = Policies(service).due

    def due(found: Job) -> dict[str, str]:
        """Say yes; right after the first question things change."""
        said = stale(found)
        if found.id == pinned and not found.pinned:
            jobs.change(service, pinned, "jane", pinned=True)
        elif found.id == again and found.finished < hours_ago(9000):
            add_status(service, again, 0.1, "queued", "running", "succeeded")
        return said

    for job_id in (pinned, again):
        assert jobs.remove(service, job_id, due, "age") == {}
        assert kept(service, job_id) == set(KINDS)


def test_the_budget_is_kept_and_the_next_pass_goes_on(service: Service) -> None:
    ids = [job(service, 9999) for _ in range(7)]
    sweeper = retention.Sweeper(service)
    reports = [sweeper.sweep(3) for _ in range(3)]
    assert [report.jobs for report in reports] == [3, 3, 1]
    assert [report.spent for report in reports] == [True, True, False]
    assert all(kept(service, job_id) == {"results", "logs"} for job_id in ids)


def _lock_by_hand(service: Service, job_id: str) -> None:
    """Have a bare Snakemake work in a directory, as far as can be seen."""
    lock = path_of(service, job_id) / ".snakemake" / "locks" / "0.input.lock"
    lock.parent.mkdir()
    lock.touch()


def test_jobs_that_are_kept_or_refuse_never_starve_others(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = [job(service, 9999) for _ in range(5)]
    for job_id in refusing:
        _lock_by_hand(service, job_id)
    others = [job(service, 800, version="policy-1") for _ in range(3)]
    monkeypatch.setattr("webapp.retention.sweep._TRIES", 1)
    sweeper = retention.Sweeper(service)
    for _ in range(60):
        sweeper.sweep(1)
    assert all(kept(service, job_id) == {"results", "logs"} for job_id in others)
    assert all(kept(service, job_id) == set(KINDS) for job_id in refusing)


def test_each_kind_and_time_has_its_turn(service: Service) -> None:
    write_instance(service, "mine", "retention: {logs: 1h}\n")
    many = [job(service, 2, instance="mine") for _ in range(8)]
    one = job(service, 800, version="policy-1")
    sweeper = retention.Sweeper(service)
    for _ in range(6):
        sweeper.sweep(1)
    assert kept(service, one) == {"results", "logs"}
    assert any("logs" in kept(service, job_id) for job_id in many), "the budget was scarce"


def test_what_was_passed_over_is_looked_at_again(service: Service) -> None:
    old, in_use = job(service, 9999, pinned=True), job(service, 9000)
    _lock_by_hand(service, in_use)
    sweeper = retention.Sweeper(service)
    assert sweeper.sweep().hindered == {in_use}
    jobs.change(service, old, "jane", pinned=False)
    assert sweeper.sweep().jobs == 1
    assert kept(service, old) == {"results", "logs"}


def test_no_policy_says_that_files_of_a_pinned_job_are_due(service: Service) -> None:
    due = Policies(service).due
    assert due(row(service, job(service, 9999))) == {"work": "kept for 7d"}
    assert due(row(service, job(service, 9999, pinned=True))) == {}


def test_what_is_kept_forever_is_not_even_looked_at(service: Service) -> None:
    write_instance(service, "mine", "retention: {work: forever}\n")
    job(service, 9999, instance="mine", version="policy-0")
    job(service, 9999, "failed", instance="mine", version="policy-2")
    groups = Policies(service).groups().items()
    work = [group for (kind, _), group in groups if kind == "work"]
    assert not any(("mine", "trivial") in group.ended | group.failed for group in work)


def test_a_sweep_walks_the_partial_index(service: Service) -> None:
    job(service, 9999)
    plans: list[str] = []

    def note(_: object, __: object, statement: str, values: Any, *___: object) -> None:
        if "FROM jobs" in statement and "LIMIT" in statement:
            plans.append(_plan(service, statement, values))

    event.listen(service.db.engine, "before_cursor_execute", note)
    list(Walk(service).overdue(Policies(service)))
    list(Walk(service).with_work())
    event.remove(service.db.engine, "before_cursor_execute", note)
    assert plans
    for plan in plans:
        assert "_kept" in plan, plan
        assert "TEMP B-TREE" not in plan, plan
        assert "Sort" not in plan, plan


def _plan(service: Service, statement: str, values: Any) -> str:
    with service.db.engine.connect() as connection:
        raw = connection.connection.cursor()
        if service.db.is_sqlite:
            raw.execute(f"EXPLAIN QUERY PLAN {statement}", values)
        else:  # it knows that the table is small, and would read all of it
            for way in ("seqscan", "bitmapscan", "sort"):
                raw.execute(f"SET LOCAL enable_{way} = off")
            raw.execute(f"EXPLAIN {statement}", values)
        found = "\n".join(str(line) for line in raw.fetchall())
    return found


def test_one_event_tells_what_went_when_how_much_and_why(service: Service) -> None:
    job_id = job(service, 9999, version="policy-2")
    sweep_all(service)
    (note,) = notes(service, job_id)
    assert note["removed"] == {
        "work": {"files": 2, "bytes": 200},
        "results": {"files": 1, "bytes": 100},
        "logs": {"files": 2, "bytes": 200},
    }
    assert (note["kind"], note["source"]) == ("note", "retention")
    assert note["why"] == "age"
    assert note["message"] == (
        "Removed work files (kept for 1h): 2 files, 200 bytes; "
        "result files (kept for 2d): 1 file, 100 bytes; logs (kept for 1w): 2 files, 200 bytes."
    )
    found = row(service, job_id)
    assert found.work_removed == found.results_removed == found.logs_removed == note["time"]


def test_a_job_whose_directory_is_gone_hinders_nothing(service: Service) -> None:
    lost, other = job(service, 9999), job(service, 9998)
    shutil.rmtree(path_of(service, lost))
    assert sweep_all(service) == 1
    assert kept(service, other) == {"results", "logs"}


def test_the_oldest_end_goes_first(service: Service) -> None:
    late, early = job(service, 800), job(service, 900)
    retention.Sweeper(service).sweep(1)
    assert (kept(service, early), kept(service, late)) == ({"results", "logs"}, set(KINDS))
