from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runner.events import EventLog

from .conftest import TOY


@pytest.fixture
def job(tmp_path: Path) -> Path:
    folder = tmp_path / "job"
    (folder / "input").mkdir(parents=True)
    (folder / "input" / "a.txt").write_text("one\n")
    (folder / "job.yaml").write_text(
        "inputs: {text: {path: input/a.txt}}\nparams: {word: x, command: 'true'}\n"
    )
    return folder


def _snakemake(job: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "-s", str(TOY / "workflow/toy/Snakefile")]
    command += ["--directory", str(job), "--configfile", str(job / "job.yaml"), "--cores", "1"]
    return subprocess.run([*command, *options], capture_output=True, text=True)


def test_a_bare_snakemake_is_not_touched_by_the_installed_plugin(job: Path) -> None:
    answer = _snakemake(job)
    assert answer.returncode == 0, answer.stderr
    assert (job / "results" / "third.txt").read_text().strip() == "2"
    assert not (job / "events.jsonl").exists()


def test_the_plugin_named_by_hand_writes_the_events(job: Path) -> None:
    events = job / "events.jsonl"
    options = ["--logger", "jobrunner", "--logger-jobrunner-events", str(events)]
    options += ["--logger-jobrunner-stages", "first,second,third"]
    assert _snakemake(job, *options).returncode == 0
    stages = [(e["stage"], e["status"]) for e in EventLog(events).read() if e["kind"] == "stage"]
    assert stages == [
        (name, status)
        for name in ("first", "second", "third")
        for status in ("running", "succeeded")
    ]


def test_events_that_cannot_be_written_stop_nothing(job: Path) -> None:
    options = ["--logger", "jobrunner", "--logger-jobrunner-events", "/nowhere/events.jsonl"]
    answer = _snakemake(job, *options, "--logger-jobrunner-stages", "first")
    assert answer.returncode == 0
    assert answer.stderr.count("events are not written") == 1
    assert (job / "results" / "third.txt").exists()


def test_the_plugin_without_a_file_does_nothing(job: Path) -> None:
    assert _snakemake(job, "--logger", "jobrunner").returncode == 0
    assert not (job / "events.jsonl").exists()


def test_an_event_has_no_password_of_the_platform(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snakefile, events = tmp_path / "Snakefile", job / "events.jsonl"
    snakefile.write_text(
        'import os\nraise ValueError("no " + os.environ["JOBRUNNER_PLATFORM_DSN"])\n'
    )
    monkeypatch.setenv("JOBRUNNER_PLATFORM_DSN", "postgresql://me:s3cr3t@host/db")
    command = [sys.executable, "-m", "snakemake", "-s", str(snakefile), "--directory", str(job)]
    command += ["--cores", "1", "--logger", "jobrunner", "--logger-jobrunner-events", str(events)]
    assert subprocess.run(command, capture_output=True).returncode == 1
    text = events.read_text()
    assert "ValueError" in text
    assert "s3cr3t" not in text
