"""/metrics says what the rows say, from every process, and answers when others do not."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, update

from tests.webapp.api_home import Api, running
from tests.webapp.attempts import write
from webapp import jobs, pools, streaks
from webapp.db import Database
from webapp.metrics import patience
from webapp.models import Delivery, Incident, Worker

ROOT = Path(__file__).resolve().parents[2]
Series = dict[tuple[Any, ...], float]  # by name and values of the labels, sorted by their names


@pytest.fixture
def api(tmp_path: Path, database_url: str) -> Iterator[Api]:
    with running(tmp_path, database_url) as api:
        yield api


@pytest.fixture(scope="module")
def quick_api(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Api]:
    """One for tests that change little in it."""
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "service.db").write_bytes(sqlite_template.read_bytes())
    with running(folder, f"sqlite:///{folder / 'service.db'}") as api:
        yield api


def page(api: Api, token: str | None = "admin") -> str:
    answer = api.call("GET", "/metrics", token)
    assert answer.status_code == 200, answer.text
    assert answer.content_type.startswith("text/plain; version=")
    return str(answer.text)


def read(api: Api, token: str | None = "admin") -> Series:
    found: Series = {}
    for family in text_string_to_metric_families(page(api, token)):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            assert (sample.name, *labels) not in found, "a series is there twice"
            found[sample.name, *labels] = sample.value
    return found


def add_worker(api: Api, pool: str = "default", slots: int = 3) -> str:
    with api.service.db.write() as session:
        return pools.register(session, pool=pool, slots=slots, cores=8, mem_mb=8000).id


def test_queue_slots_and_workers_are_what_the_rows_say(api: Api) -> None:
    worker = add_worker(api, slots=2)
    first = api.job()
    api.job("other"), api.job("other")
    last = api.job("default")
    with api.service.db.write() as session:
        pools.set_capacity(session, "default", 1)
        pools.pause(session, "instance", "other", "test")
        jobs.get(session, last).queued = pools.seconds_ago(90)
        session.execute(update(Worker).values(heartbeat=pools.seconds_ago(7)))
    found = read(api)
    assert found["jobrunner_jobs_running", "default", "default"] == 1
    assert found["jobrunner_jobs_running", "other", "default"] == 1
    assert found["jobrunner_jobs_waiting", "default", "default"] == 1
    assert found["jobrunner_jobs_waiting", "other", "default"] == 1
    assert 90 <= found["jobrunner_jobs_waiting_oldest_age_seconds", "default", "default"] < 120
    assert found["jobrunner_jobs_waiting_oldest_age_seconds", "other", "default"] < 30
    assert found["jobrunner_jobs", "default", "queued", "toy"] == 2
    slots = {name: found[f"jobrunner_slots_{name}", "default"] for name in
             ("offered", "capacity", "used")}  # fmt: skip
    assert slots == {"offered": 2, "capacity": 1, "used": 2}
    assert found["jobrunner_workers", "default"] == 1
    (heartbeat,) = (n for key, n in found.items() if worker in key)
    assert 7 <= heartbeat < 30
    assert found["jobrunner_wakeups_waiting", "default"] == 2
    paused = {key[0]: value for key, value in found.items() if key[0].endswith("_paused")
              and key[-1] != "default"}  # fmt: skip
    assert paused == {"jobrunner_instance_paused": 1, "jobrunner_service_paused": 0}
    assert first in api.call("GET", "/api/v1/jobs").text


def test_counters_and_histograms_are_what_happened(api: Api) -> None:
    job_id = api.job()
    for seconds, outcome in (("04", "succeeded"), ("40", "succeeded")):
        for time_, status in (("00", "running"), (seconds, outcome)):
            write(
                api.service, job_id, kind="stage", stage="first", status=status,
                attempt=int(seconds), time=f"2026-11-22T10:00:{time_}.000Z",
            )  # fmt: skip
    write(api.service, job_id, kind="attempt", status="failed", attempt=1)
    write(api.service, job_id, kind="status", status="failed")
    jobs.take_over(api.service, job_id)
    found = read(api)
    assert found["jobrunner_attempts_total", "default", "failed", "toy"] == 1
    assert found["jobrunner_jobs_ended_total", "default", "failed", "toy"] == 1
    assert found["jobrunner_stages_total", "succeeded", "first", "toy"] == 2
    name = "jobrunner_stage_duration_seconds"
    buckets = {key[1]: value for key, value in found.items() if key[0] == f"{name}_bucket"}
    assert [buckets[limit] for limit in ("1", "5", "15", "60", "+Inf")] == [0, 1, 1, 2, 2]
    assert found[f"{name}_count", "first", "toy"] == 2
    assert found[f"{name}_sum", "first", "toy"] == 44


def test_outbox_and_incidents_are_shown_by_kind(api: Api) -> None:
    old, now = pools.seconds_ago(600), pools.seconds_ago(0)
    row = {"kind": "email", "target": "email", "lane": "x", "event": "job.failed", "data": {},
           "recipients": [], "tries": 0, "history": [], "next_try": now,
           "expires": now}  # fmt: skip
    rows = [
        {**row, "key": "1", "state": "waiting", "created": old, "finished": None},
        {**row, "key": "2", "state": "delivered", "created": old, "finished": now},
        {**row, "key": "3", "state": "given_up", "created": old, "finished": now},
        {**row, "key": "4", "state": "given_up", "created": old,
         "finished": pools.seconds_ago(200_000)},
    ]  # fmt: skip
    with api.service.db.write() as session:
        session.execute(insert(Delivery), rows)
        for key, ended in (("a", None), ("b", now)):
            session.add(Incident(kind="disk", key=key, message="", began=old, ended=ended))
    found = read(api)
    assert [found["jobrunner_deliveries_waiting", k] for k in ("email", "webhook")] == [1, 0]
    assert 600 <= found["jobrunner_deliveries_waiting_oldest_age_seconds", "email"] < 700
    assert found["jobrunner_deliveries_given_up", "email"] == 1
    assert [found["jobrunner_incidents_open", k] for k in ("disk", "worker")] == [1, 0]


def test_the_page_says_that_redis_is_away(api: Api) -> None:
    assert read(api)["jobrunner_redis_up",] == 1
    os.kill(api.redis, signal.SIGKILL)
    os.waitid(os.P_PID, api.redis, os.WEXITED | os.WNOWAIT)
    found = read(api)
    assert (found["jobrunner_redis_up",], found["jobrunner_database_up",]) == (0, 1)


def test_the_page_says_that_the_database_is_away_to_those_who_may_see_it(
    quick_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, never_asked = quick_api.token("operator"), quick_api.token("operator", acting=True)
    viewer = quick_api.token("viewer")
    assert read(quick_api, token)["jobrunner_database_up",] == 1
    assert quick_api.call("GET", "/metrics", viewer).status_code == 403
    away = Database("postgresql://user:secret@127.0.0.1:1/none")
    monkeypatch.setattr(quick_api.service.db, "engine", away.engine)
    found = read(quick_api, token)
    assert found["jobrunner_database_up",] == 0
    assert found["jobrunner_redis_up",] == 1
    assert found["jobrunner_disk_free_bytes",] > 0
    for other in (viewer, never_asked, None):
        assert quick_api.call("GET", "/metrics", other).status_code in (401, 503)


def test_a_database_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from webapp.db import DatabaseAway

    answers = threading.Event()
    for _ in range(4):
        with pytest.raises(DatabaseAway, match="within"):
            patience.within(0.01, answers.wait)
    with pytest.raises(DatabaseAway, match="earlier questions"):
        patience.within(0.01, lambda: None)
    answers.set()
    deadline = time.monotonic() + 10
    while True:
        try:
            assert patience.within(5, lambda: 3) == 3
        except DatabaseAway:
            assert time.monotonic() < deadline
        else:
            break


def test_an_operator_of_one_instance_sees_nothing_of_another(quick_api: Api) -> None:
    quick_api.job("other"), quick_api.job("default")
    assert 'jobrunner_instance="other"' in page(quick_api)
    own = page(quick_api, quick_api.token("operator", "default"))
    assert 'jobrunner_instance="default"' in own
    assert "other" not in own
    assert "jobrunner_slots_used" in own


def test_open_metrics_need_no_token(quick_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert quick_api.call("GET", "/metrics", None).status_code == 401
    monkeypatch.setitem(vars(quick_api.service.settings), "metrics_open", True)
    assert "jobrunner_build_info" in page(quick_api, None)


def test_each_metric_has_its_row_in_the_guide_and_each_row_its_metric(quick_api: Api) -> None:
    add_worker(quick_api)
    families = list(text_string_to_metric_families(page(quick_api)))
    text = (ROOT / "docs" / "monitoring.md").read_text()
    rows = dict(re.findall(r"^\| `(jobrunner_\w+)` \| ([^|]*) \|", text, re.MULTILINE))
    for family in families:
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        labels = re.findall(r"`(\w+)`", rows.pop(name, "no row"))
        said = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert said <= set(labels), name
        assert family.documentation
    assert rows == {}


def test_the_page_is_cheap_whatever_has_ended(api: Api) -> None:
    """No statement of the page walks the jobs that have ended."""
    add_worker(api)
    from sqlalchemy import event

    statements: list[tuple[str, Any]] = []

    @event.listens_for(api.service.db.engine, "before_cursor_execute")
    def seen(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if " jobs" in statement:
            statements.append((statement, parameters))

    page(api)
    assert statements
    if not api.service.db.is_sqlite:
        return  # PostgreSQL walks a table as small as this one whatever indexes there are
    with api.service.db.engine.connect() as connection:
        for statement, parameters in list(statements):
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            walked = [row[-1] for row in plan if " jobs" in row[-1]]
            few = ("ix_jobs_waiting", "ix_jobs_admitted", "SEARCH jobs USING INDEX ix_jobs_status")
            assert all(any(index in step for index in few) for step in walked), plan


def test_streaks_are_no_metric_of_their_own(quick_api: Api) -> None:
    """What a page says of stages has no id of a job in it, or there would be a series a job."""
    job_id = quick_api.job()
    write(quick_api.service, job_id, kind="stage", stage="first", status="failed", attempt=1)
    jobs.take_over(quick_api.service, job_id)
    with quick_api.service.db.read() as session:
        assert streaks.latest(session, ("toy", "first"), 1) == [job_id]
    assert job_id not in page(quick_api)
