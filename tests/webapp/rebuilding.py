"""A service that loses its database, after a varied history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webapp.attempts import begin, claimed, end, run
from tests.webapp.worlds import add_worker, make_home, open_service, row, trivial
from webapp import jobs
from webapp.service import Service

SETTINGS: dict[str, Any] = {"max_interruptions": 1, "mail": "smtp://127.0.0.1:9"}
Lose = Callable[[], Service]


@pytest.fixture(name="service", params=["sqlite", "postgresql"])
def kept_service(
    request: pytest.FixtureRequest, new_database_url: Callable[..., str], tmp_path: Path
) -> Iterator[Service]:
    """A service with limits, a second pool and room for a hundred jobs, on either database."""
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


@pytest.fixture(name="lose")
def losing(service: Service, new_database_url: Callable[..., str]) -> Iterator[Lose]:
    """Give the same service with a new, empty database."""
    opened: list[Service] = []

    def make() -> Service:
        kind = "sqlite" if service.db.is_sqlite else "postgresql"
        opened.append(open_service(service.home.path, new_database_url(kind), **SETTINGS))
        return opened[-1]

    yield make
    for one in opened:
        one.db.engine.dispose()


def history(service: Service) -> dict[str, str]:
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
