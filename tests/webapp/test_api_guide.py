"""docs/api.md is right: its commands work, and its tables name what there is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from runner import errors
from tests.webapp.api_home import Api, running
from webapp import jobs
from webapp.api import problem
from webapp.api.schemas_reading import ListIn
from webapp.api.schemas_writing import JobIn

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.fixture
def api(tmp_path: Path, sqlite_template: Path) -> Iterator[Api]:
    path = tmp_path / "service.db"
    path.write_bytes(sqlite_template.read_bytes())
    with running(tmp_path, f"sqlite:///{path}") as api:
        api.service.home.releases.publish(str(ROOT), "1.0")
        yield api


@pytest.fixture
def address(api: Api) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, api.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


def test_the_commands_of_the_guide_work(api: Api, address: str, tmp_path: Path) -> None:
    commands = re.findall(r"^```sh\n(.+?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert len(commands) >= 8
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    token = api.token("operator", "default", acting=True)
    given = {"URL": address, "TOKEN": token, "PATH": os.environ["PATH"]}
    for command in commands:
        if "curl -fsSN" in command and (job_id := given.get("JOB")):
            _end(api, job_id)
        done = subprocess.run(
            ["bash", "-euc", command], env=given, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        given["URL"] = f"{address}/api/v1"
        if "/jobs\n" in command and "request=" in command:
            given["JOB"] = json.loads(done.stdout)["id"]
    assert "JOB" in given
    assert (tmp_path / "job.zip").stat().st_size > 0


def _end(api: Api, job_id: str) -> None:
    """No worker runs here: a job ends by being cancelled."""
    with api.service.db.read() as session:
        status = jobs.get(session, job_id).status
    if status == "queued":
        jobs.cancel(api.service, job_id, "test")


def test_the_guide_names_every_filter_and_field() -> None:
    for name in (*ListIn.model_fields, *JobIn.model_fields):
        if name not in ("format", "limit"):
            assert f"`{name}`" in GUIDE, name


def test_the_codes_of_the_guide_are_those_of_the_service() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \| (`[^|]+) \|", GUIDE, re.MULTILINE)
    named = {
        (int(status), code)
        for statuses, codes in rows
        for status in statuses.split(", ")
        for code in re.findall(r"`(\w+)`", codes)
    }
    known = set(problem.CODES.items())
    families = [errors.JobRunnerError]
    while families:
        family = families.pop()
        families += family.__subclasses__()
        known.add((family.status, family.code))
    statuses = {status for status, _ in named}
    assert not named - known
    assert {400, 401, 403, 404, 409, 413, 422, 500, 503, 507} <= statuses
