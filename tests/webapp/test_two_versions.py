"""Two versions of the service work side by side on one database while one replaces the other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from runner import __version__
from tests.webapp.running import QUICK, ROOT, Running, assert_exactly_once, until
from webapp import migrate, tokens
from webapp.models import Worker

NEWER = "99.0.0"
REVISION = '''"""A colour for jobs."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{next}", "{last}", None, None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("colour", sa.Text(), nullable=True))
'''


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The code of a later version, which has one column more."""
    folder, last = tmp_path / "newer", migrate.head()
    for package in ("runner", "webapp", "snakemake_logger_plugin_jobrunner"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__py*"))
    for part in ("config", "envs", "workflow"):
        (folder / part).symlink_to(ROOT / part)
    version = folder / "runner" / "__init__.py"
    version.write_text(version.read_text() + f'\n__version__ = "{NEWER}"\n')
    models = folder / "webapp" / "models" / "jobs.py"
    column = "    stop_requested: Mapped[bool]"
    assert column in models.read_text()
    models.write_text(
        models.read_text().replace(column, f"    colour: Mapped[str | None]\n{column}", 1)
    )
    script = REVISION.format(next=f"{int(last) + 1:04d}", last=last)
    (folder / "webapp" / "migrations" / "versions" / "later.py").write_text(script)
    return folder


def _start(running: Running, folder: Path, module: str, *words: str) -> subprocess.Popen[str]:
    running.output = running.home / f"output-{len(running.processes)}.txt"
    with running.output.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", f"webapp.cli.{module}", *words],
            env={**running.environment(), **QUICK}, cwd=folder, stdout=stream,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
    running.processes.append(process)
    return process


def _web(running: Running, folder: Path) -> str:
    _start(running, folder, "web", "--port", "0")
    output = running.output
    told = until(lambda: output.read_text().partition("The REST API: ")[2], "it says where")
    url = told.split("/api/")[0]

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    until(answers, "it answers")
    return url


def _ask(running: Running, url: str, path: str, document: Any = None) -> Any:
    data = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(f"{url}/api/v1{path}", data)
    request.add_header("Authorization", f"Bearer {running.token}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _versions(running: Running, job_ids: list[str]) -> dict[str, str]:
    """By which version each job was run."""
    found = {}
    for job_id in job_ids:
        path = running.service.path(running.row(job_id)) / "attempts" / "1.json"
        found[job_id] = json.loads(path.read_text())["versions"]["jobrunner"]
    return found


def _workers(running: Running) -> set[str]:
    with running.service.db.read() as session:
        return {worker.version for worker in session.query(Worker)}


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_jobs_flow_through_both_while_the_newer_replaces_the_older(
    idle_service: Running, redis_url: str, newer: Path
) -> None:
    running = idle_service
    with running.service.db.write() as session:
        running.token = tokens.create(session, name="jane", role="admin")
    urls = [_web(running, ROOT)]
    older = _start(running, ROOT, "worker", "--slots", "1", "--cores", "8")
    until(lambda: _workers(running) == {__version__}, "the older worker")
    gate = running.home / "gate"
    params = {"command": f"until [ -e {gate} ]; do sleep 0.05; done"}
    gated = [running.submit(params=params) for _ in range(2)]
    running.until_running(gated[0])

    assert _start(running, newer, "migrate").wait(60) == 0, running.output.read_text()
    with running.service.db.read() as session:
        session.execute(text("SELECT colour FROM jobs"))
    urls.append(_web(running, newer))
    _start(running, newer, "worker", "--slots", "1", "--cores", "8")
    until(lambda: _workers(running) == {__version__, NEWER}, "both workers")
    running.until_running(gated[1])  # beside the other: each has one slot
    urls.append(_web(running, ROOT))  # the older one can still be started, should it die

    jobs = [
        _ask(running, url, "/jobs", {"type": "trivial", "instance": "default"})["id"]
        for url in urls * 3
    ]
    gate.touch()
    assert set(running.until_ended(*gated, *jobs)) == {"succeeded"}
    assert_exactly_once(running, [*gated, *jobs])
    for url in urls:
        listed = {job["id"] for job in _ask(running, url, "/jobs")["items"]}
        assert listed == {*gated, *jobs}
    assert set(_versions(running, gated).values()) == {__version__, NEWER}

    older.terminate()
    assert older.wait(30) == 0
    last = _ask(running, urls[0], "/jobs", {"type": "trivial", "instance": "default"})["id"]
    assert running.until_ended(last) == ["succeeded"]
    assert _versions(running, [last]) == {last: NEWER}
