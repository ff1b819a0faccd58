"""Commands that look at a job: ``status``, ``logs``, ``files``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from runner import leader, sub_jobs
from runner.cli import document
from runner.cli.execute import reopen
from runner.cli.options import home_option, json_option
from runner.cli.stage_table import table_of
from runner.home import Home
from runner.jobdir import JobDirectory
from runner.prepared import Prepared
from runner.state import JobState


@click.command()
@click.argument("job")
@json_option
@home_option
def status(job: str, home_folder: str | None, as_json: bool) -> None:
    """Show where JOB (a directory or an id) stands."""
    prepared = reopen(job, home_folder)
    directory = prepared.job
    state = JobState(prepared.job_type, directory.events.read())
    if state.status in ("running", "stopping") and not leader.is_alive(directory.whole.path):
        state.status = "interrupted"
    if as_json:
        document.show(document.of_job(prepared, state))
        return
    console = Console()
    line = f"Job {directory.id} ({directory.type} {directory.config['release']['label']}): "
    console.print(f"{escape(line)}[bold]{state.status}[/]", highlight=False)
    console.print(table_of(state.stages.values()))
    _show_parts(console, prepared)
    if state.error:
        console.print(state.error["message"], markup=False, highlight=False, soft_wrap=True)
    if state.status == "interrupted":
        line = f"The attempt was killed. Continue with: jobrunner rerun {directory.whole.path}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _show_parts(console: Console, prepared: Prepared) -> None:
    """List the sub-jobs; each is shown by its own id like a job."""
    for part in prepared.job_type.sub_jobs.values():
        directory = sub_jobs.directory(prepared.job, part.name)
        state = JobState(part.type, directory.events.read())
        line = f"Sub-job {directory.id} ({part.type.name}: {part.title}): [bold]{state.status}[/]"
        console.print(line, highlight=False, soft_wrap=True)


@click.command()
@click.argument("job")
@click.option("--stage", metavar="STAGE", help="Only this stage's log.")
@click.option("--follow", is_flag=True, help="Go on until the attempt ends.")
@home_option
def logs(job: str, home_folder: str | None, stage: str | None, follow: bool) -> None:
    """Print the log of JOB, or of one of its stages."""
    directory = Home.find(home_folder).job(job)
    path = directory.logs / "job.log"
    if stage:
        folder, name = directory.of_stage(reopen(job, home_folder).job_type.stage(stage).name)
        path = folder / "logs" / f"{name}.log"
    for text in _text(directory, path, follow):
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()


@click.command()
@click.argument("job")
@json_option
@home_option
def files(job: str, home_folder: str | None, as_json: bool) -> None:
    """List the artifacts of JOB with size and checksum."""
    directory = Home.find(home_folder).job(job)
    artifacts = list(directory.artifacts())
    for part in sub_jobs.directories(directory):
        folder = part.path.relative_to(directory.path)
        artifacts += [replace(a, path=f"{folder}/{a.path}") for a in part.artifacts()]
    if as_json:
        document.show([artifact.as_dict() for artifact in artifacts])
        return
    for artifact in artifacts:
        click.echo(f"{artifact.sha256}  {artifact.bytes:>12,}  {artifact.path}")


def _text(job: JobDirectory, path: Path, follow: bool, interval: float = 0.2) -> Iterator[bytes]:
    position = 0
    while True:
        last = not (follow and leader.is_alive(job.whole.path))
        if path.is_file():
            with path.open("rb") as stream:
                if stream.seek(0, 2) < position:  # a rerun began the log anew
                    position = 0
                stream.seek(position)
                yield stream.read()
                position = stream.tell()
        if last:
            return
        time.sleep(interval)
