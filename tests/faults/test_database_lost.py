"""Everything killed in the middle of jobs, and the database gone: the directories are enough."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import select

from tests.webapp.running import ROOT, Running, assert_exactly_once, until
from tests.webapp.tables import rebuilt
from webapp import jobs
from webapp.models import Job


def _kill_everything(running: Running) -> None:
    for process in running.left():
        process.kill()
    running.processes[-1].wait()
    until(lambda: not running.left(), "all processes end", 30)


def _listed(running: Running) -> list[dict[str, Any]]:
    names = ("id", "type", "version", "instance", "user", "status", "priority", "tags", "submitted",
             "started", "finished", "error")  # fmt: skip
    with running.service.db.read() as session:
        found = session.scalars(select(Job).order_by(Job.id))
        return [{name: getattr(job, name) for name in names} for job in found]


def _command(running: Running, *words: str) -> str:
    command = [sys.executable, "-m", *words]
    done = subprocess.run(
        command, env=running.environment(), cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_after_kill_9_and_the_loss_of_the_database_every_job_is_there_and_ends(
    idle_service: Running,
) -> None:
    running = idle_service
    ended = [running.submit("trivial", tags=["early"], priority=99) for _ in range(3)]
    failing = running.submit("toy", params={"command": "false"}, priority=98)
    long = [running.submit("toy", params={"command": "sleep 1.5"}, priority=50) for _ in range(2)]
    waiting = [running.submit("trivial") for _ in range(20)]
    jobs.change(running.service, waiting[3], "jane", priority=40, tags=["late"], pinned=True)
    jobs.cancel(running.service, waiting[4], "jane")
    running.up()
    running.until_ended(*ended, failing)
    for job_id in long:
        running.until_running(job_id)
    _kill_everything(running)
    for job_id in [*long, *waiting]:  # the last words of a killed process may be in the directory
        jobs.take_over(running.service, job_id)
    before, rows = _listed(running), rebuilt(running.service.db)
    database = Path(str(running.service.db.url.database))
    running.service.db.engine.dispose()
    for name in (database.name, f"{database.name}-wal", f"{database.name}-shm"):
        (database.parent / name).unlink(missing_ok=True)
    assert not list(database.parent.glob(f"{database.name}*"))

    assert f"{len(before)} added" in _command(running, "webapp.cli.reindex")
    assert _listed(running) == before
    found = rebuilt(running.service.db)
    assert {name: found[name] for name in rows} == rows
    running.up()
    statuses = dict(zip(running.statuses(), running.until_ended(*running.statuses()), strict=True))
    assert statuses.pop(failing) == "failed"
    assert statuses.pop(waiting[4]) == "cancelled"
    assert set(statuses.values()) == {"succeeded"}
    assert_exactly_once(running, [*ended, *long])
