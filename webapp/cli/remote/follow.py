"""The command ``follow``: a job of a service as it runs; leaving it leaves the job running."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from urllib.parse import quote

import click

from runner.cli.display import Display, Lines, LiveTable
from runner.errors import JobRunnerError
from runner.jobtype import JobType
from runner.state import JobState
from webapp.cli.remote.session import Remote, connected, server_option
from webapp.client import Event, Job, Waiting

_PATIENCE = 600.0  # seconds for which a server that is away is waited for
_AWAY = "The server is away; trying again …"
_LOOK = 3.0  # seconds between looks at why a job waits


@click.command()
@click.argument("job_id", metavar="ID")
@server_option
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
def follow(job_id: str, server: str | None, as_json: bool) -> None:
    """Show how the job ID of a service goes on, until it has ended.

    It goes on when the server is restarted. Ctrl-C leaves the job running. Exit status: 0 it
    succeeded, 1 it failed or was cancelled, 130 Ctrl-C.
    """
    with connected(server, as_json) as remote:
        watch(remote, job_id)


def watch(remote: Remote, job_id: str) -> None:
    """Follow a job to its end, and exit with the status that it deserves."""
    try:
        first = _begun(remote, job_id)
        job = _events(remote, job_id) if remote.as_json else _shown(remote, first)
    except KeyboardInterrupt:
        line = f"Job {job_id} goes on. Follow it with: {remote.command('follow', job_id)}"
        click.echo(f"{line}\nStop it with: {remote.command('cancel', job_id)}", err=True)
        sys.exit(130)
    sys.exit(0 if job.status == "succeeded" else 1)


def wait(remote: Remote, job_id: str) -> Job:
    """Wait for the end of a job without a word."""
    _begun(remote, job_id)
    for _ in remote.client.events(job_id):
        pass
    return remote.client.job(job_id)


def _begun(remote: Remote, job_id: str) -> Job:
    """Give the job as it is now; from then on its server may be away for long."""
    job = remote.client.job(job_id)
    remote.client.patience = _PATIENCE
    return job


def _events(remote: Remote, job_id: str) -> Job:
    for event in remote.client.events(job_id):
        click.echo(json.dumps(dict(event.data), ensure_ascii=False))
        sys.stdout.flush()
    return remote.client.job(job_id)


def _shown(remote: Remote, job: Job) -> Job:
    # all that a state needs to know of a job type
    known = cast(JobType, SimpleNamespace(stages=job.stages))
    state = JobState(known)
    display: Display
    if remote.console.is_terminal:
        display = LiveTable(state, remote.console)
    else:
        display = Lines(state, remote.console)
    remote.say(f"Job {job.id} ({job.type} {job.version}) on {remote.client.server}")
    if job.waiting and not remote.console.is_terminal:
        remote.say(f"Waits: {job.waiting.message}")
    with display as show, _explained(remote, display, state, job):
        for event in remote.client.events(job.id):
            show(_of(event))
    job = remote.client.job(job.id)
    conclude(remote, job)
    return job


def _of(event: Event) -> dict[str, object]:
    return {"attempt": event.attempt, **event.data}


@contextmanager
def _explained(remote: Remote, display: Display, state: JobState, job: Job) -> Iterator[None]:
    """Say in the live table why the job waits, and that the server is away."""
    if not isinstance(display, LiveTable):
        yield
        return
    table, ended, heard = display, threading.Event(), remote.hear

    def look() -> None:
        while not ended.wait(_LOOK):
            if state.status == "queued" or table.note == _AWAY:
                try:
                    waiting = remote.client.job(job.id).waiting
                except JobRunnerError:  # who follows the events says so
                    continue
                table.note = _waits(waiting) if state.status == "queued" else ""

    def away(_: str) -> None:
        table.note = _AWAY

    remote.hear = away
    table.note = _waits(job.waiting)
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        remote.hear = heard


def _waits(waiting: Waiting | None) -> str:
    return f"Waits: {waiting.message}" if waiting else ""


def conclude(remote: Remote, job: Job) -> None:
    """Say how a job ended, and what to do now."""
    if job.status == "succeeded":
        for label, value in _headline(remote, job):
            remote.say(f"{label:<22} {value}")
        if not job.parent:
            remote.say(f"Bring it here with: {remote.command('pull', job.id)}")
        return
    if job.error:
        stage = f" in stage {job.error.stage}" if job.error.stage else ""
        remote.say(f"Failed{stage} ({job.error.code})", "bold red")
        remote.say(job.error.message)
    else:
        remote.say(f"The job was {job.status}.")
    for part in job.sub_jobs:
        remote.say(f"{part.id:<22} {part.status}")
    remote.say(f"Run it again with: {remote.command('rerun', job.id)}")


def _headline(remote: Remote, job: Job) -> list[tuple[str, str]]:
    """Give the lines that the job type's summary offers to people, then where the report is."""
    lines: list[tuple[str, str]] = []
    try:
        results = remote.client.type(job.type, version=job.version).results
        if summary := results.get("summary"):
            # not by the job's list of results: it may be written down a moment after the end
            with tempfile.TemporaryDirectory(prefix="jobrunner-") as scratch:
                path = remote.client.download(job.id, summary, Path(scratch, "summary"))
                told = json.loads(path.read_text(encoding="utf-8")).get("headline", {})
            lines += [(str(label), str(value)) for label, value in told.items()]
    except (JobRunnerError, ValueError, AttributeError):
        return [("Done", job.id)]  # a job type that is gone, or writes another summary
    if report := results.get("report"):
        url = f"{remote.client.server}/api/v1/jobs/{job.id}/files/{quote(report)}"
        lines.append(("Report", url))
    return lines or [("Done", job.id)]
