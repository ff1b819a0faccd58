"""/healthz and /readyz tell a load balancer what it needs, and strangers nothing more."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webapp.api_home import Api, running
from webapp import pools
from webapp.db import Database
from webapp.redis_server import answers
from webapp.settings import socket_path


@pytest.fixture
def api(tmp_path: Path, sqlite_template: Path) -> Iterator[Api]:
    path = tmp_path / "service.db"
    path.write_bytes(sqlite_template.read_bytes())
    with running(tmp_path, f"sqlite:///{path}") as api:
        with api.service.db.write() as session:
            pools.register(session, pool="default", slots=1, cores=1, mem_mb=100)
        yield api


def ready(api: Api, status: int, word: str) -> dict[str, Any]:
    """Ask, and give the checks."""
    for path in ("/readyz", "/api/v1/readyz"):
        answer = api.call("GET", path, token=None)
        assert answer.status_code == status, answer.text
        assert answer.json is not None
        assert answer.json["status"] == word, answer.text
    return dict(answer.json["checks"])


def test_ready_with_all_that_it_needs(api: Api) -> None:
    checks = ready(api, 200, "ok")
    assert set(checks) == {"database", "home", "redis", "disk", "workers"}
    assert all(check["ok"] for check in checks.values())


def test_without_redis_it_says_so_and_still_takes_jobs(api: Api) -> None:
    socket = socket_path(api.service.home.path)
    os.kill(api.redis, signal.SIGKILL)
    os.waitid(os.P_PID, api.redis, os.WEXITED | os.WNOWAIT)
    assert not answers(socket)
    checks = ready(api, 200, "degraded")
    assert not checks["redis"]["ok"]
    assert "jobs are taken" in checks["redis"]["detail"]
    assert str(socket.parent) not in str(checks)
    assert api.call("GET", f"/api/v1/jobs/{api.job()}").status_code == 200


def test_without_the_database_it_takes_no_requests(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Database("postgresql://user:secret@127.0.0.1:1/none")
    monkeypatch.setattr(api.service.db, "engine", away.engine)
    answer = api.call("GET", "/readyz", token=None)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "127.0.0.1" not in answer.text
    assert api.call("GET", "/healthz", token=None).status_code == 200


def test_without_the_home_folder_it_takes_no_requests(api: Api) -> None:
    shutil.rmtree(api.service.home.path)
    checks = ready(api, 503, "unavailable")
    assert not checks["home"]["ok"]
    assert checks["database"]["ok"]
    assert str(api.service.home.path) not in str(checks)


def test_without_workers_or_room_it_says_that_jobs_wait(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2, 2, 0))  # type: ignore[attr-defined]
    monkeypatch.setitem(api.service.settings.__dict__, "disk_reserve", 1)
    assert not ready(api, 200, "degraded")["disk"]["ok"]
    with api.service.db.write() as session:
        for worker in pools.living(session, api.service.settings):
            pools.leave(session, worker.id)
    assert ready(api, 200, "degraded")["workers"] == {"ok": False, "detail": "0 alive"}


def test_tables_of_another_version_are_told(api: Api) -> None:
    with api.service.db.write() as session:
        for change in (
            "UPDATE alembic_version SET version_num = 'newer'",
            "UPDATE schema_notes SET value = 'newer'",
        ):
            session.connection().exec_driver_sql(change)
    assert "tables" in ready(api, 503, "unavailable")["database"]["detail"]
