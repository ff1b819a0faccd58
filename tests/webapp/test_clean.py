"""``jobrunner clean`` says what goes, and removes exactly that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from runner.cli.commands import cli
from runner.retention import KINDS
from webapp.service import Service

from .retained import job, kept, publish, told
from .worlds import make_home, open_service, row


@pytest.fixture
def service(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service that the command finds, too."""
    home = make_home(tmp_path / "home")
    given = {"DATABASE_URL": database_url, "DISK_LOW": "0", "REDIS_URL": f"unix://{tmp_path}/no"}
    for name, value in given.items():
        monkeypatch.setenv(f"JOBRUNNER_{name}", value)
    monkeypatch.delenv("JOBRUNNER_HOME", raising=False)
    service = open_service(home.path, database_url)
    publish(service, "kept-1", "{work: 1h, results: 2d}", tmp_path)
    return service


def _clean(service: Service, *options: str) -> Result:
    return CliRunner().invoke(cli, ["clean", "--home", str(service.home.path), *options])


def _said(service: Service, *options: str) -> Any:
    found = _clean(service, "--json", *options)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def _jobs(service: Service) -> dict[str, str]:
    return {
        "old": job(service, 49, version="kept-1"),
        "young": job(service, 2, version="kept-1"),
        "fresh": job(service, 0.5, version="kept-1"),
        "pinned": job(service, 49, version="kept-1", pinned=True),
    }


def test_a_dry_run_says_what_would_go_and_removes_nothing(service: Service) -> None:
    ids = _jobs(service)
    said = _said(service, "--dry-run")
    assert said["dry_run"] is True
    assert said["work"] == {"jobs": 2, "files": 4, "bytes": 400}
    assert said["results"] == {"jobs": 1, "files": 1, "bytes": 100}
    assert said["logs"] == {"jobs": 0, "files": 0, "bytes": 0}
    assert said["disk"]["low"] == 0
    assert said["disk"]["free"] > 0
    for job_id in ids.values():
        assert kept(service, job_id) == set(KINDS)
        assert told(row(service, job_id)) == set()


def test_what_a_dry_run_says_is_what_goes(service: Service) -> None:
    ids = _jobs(service)
    would, went, after = (_said(service, *o) for o in (["--dry-run"], [], ["--dry-run"]))
    assert {kind: would[kind] for kind in KINDS} == {kind: went[kind] for kind in KINDS}
    assert all(after[kind]["jobs"] == 0 for kind in KINDS)
    assert kept(service, ids["old"]) == {"logs"}
    assert kept(service, ids["young"]) == {"results", "logs"}
    assert kept(service, ids["fresh"]) == kept(service, ids["pinned"]) == set(KINDS)


def test_it_removes_more_than_the_budget_of_a_sweep(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBRUNNER_SWEEP_BUDGET", "1")
    _jobs(service)
    assert _said(service)["work"]["jobs"] == 2


def test_people_are_told_in_words(service: Service) -> None:
    _jobs(service)
    found = _clean(service, "--dry-run")
    assert "work files    of 2 jobs: 4 files, 400 bytes would go" in found.output
    assert "result files  of 1 job: 1 file, 100 bytes would go" in found.output
    assert "result files  of 1 job: 1 file, 100 bytes went" in _clean(service).output


def test_a_low_disk_is_told_and_counted(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = _jobs(service)
    monkeypatch.setenv("JOBRUNNER_DISK_LOW", str(2**60))
    assert _said(service, "--dry-run")["work"]["jobs"] == 3, "the fresh one, too"
    found = _clean(service)
    assert "less than JOBRUNNER_DISK_LOW" in found.output
    assert kept(service, ids["fresh"]) == {"results", "logs"}
    assert kept(service, ids["pinned"]) == set(KINDS)


def test_without_tables_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database_url: str
) -> None:
    monkeypatch.setenv("JOBRUNNER_DATABASE_URL", empty_database_url)
    found = CliRunner().invoke(cli, ["clean", "--home", str(make_home(tmp_path / "home").path)])
    assert found.exit_code != 0
    assert "jobrunner migrate" in found.output + str(getattr(found.exception, "message", ""))
