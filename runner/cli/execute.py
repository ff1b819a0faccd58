"""Commands that run a job: ``run``, ``plan``, ``rerun``."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from runner import launch, profile, resources, sub_jobs
from runner.cli import assignments, document, plugged
from runner.cli.display import Display, Lines, LiveTable, Silent
from runner.cli.options import home_option, json_option, request_options, resource_option
from runner.errors import InvalidRequest, JobRunnerError
from runner.home import Home
from runner.launch import ProcessingRequest
from runner.options import RunOptions
from runner.plan import plan as make_plan
from runner.prepared import Prepared
from runner.standby import Standby
from runner.state import JobState


@click.command()
@request_options
@click.option("--until", metavar="STAGE", help="Stop after this stage.")
@click.option("--cores", type=click.IntRange(1), help="Cores for all rules together.")
@click.option("--plain", is_flag=True, help="Start the snakemake command, not a warm fork of it.")
@json_option
@home_option
@click.pass_obj
def run(
    standby: Standby | None,
    /,
    type_name: str,
    home_folder: str | None,
    as_json: bool,
    until: str | None,
    cores: int | None,
    plain: bool,
    **request: Any,
) -> None:
    """Run a new job of TYPE here and now, in a directory of its own."""
    try:
        prepared = _create(Home.find(home_folder), type_name, request, [until], cores)
        options = prepared.options(until=until, cores=cores, plain=plain)
        execute(prepared, options, as_json, standby)
    except JobRunnerError as error:
        if not as_json:
            raise
        document.show(document.of_refusal(error, type_name))
        sys.exit(2)


@click.command()
@click.argument("job")
@click.option("--stage", metavar="STAGE", help="Run this stage again even if nothing changed.")
@click.option("--only", is_flag=True, help="With --stage: not what depends on it.")
@click.option("--until", metavar="STAGE", help="Stop after this stage.")
@click.option("--cores", type=click.IntRange(1), help="Cores for all rules together.")
@click.option("--plain", is_flag=True, help="Start the snakemake command, not a warm fork of it.")
@resource_option
@click.option("--server", metavar="URL", help="JOB is the id of a job of this service.")
@json_option
@home_option
@click.pass_obj
def rerun(
    standby: Standby | None,
    /,
    job: str,
    home_folder: str | None,
    as_json: bool,
    only: bool,
    stage: str | None,
    server: str | None,
    asked: tuple[str, ...],
    **given: Any,
) -> None:
    """Continue JOB (a directory or an id), or run a stage of it again."""
    if only and not stage:
        raise click.UsageError("--only goes with --stage STAGE.")
    if server is not None:
        _refuse_local({**given, "home": home_folder})
        again = plugged.load("rerun", plugged.SERVER)
        again(server, job, stage, only, assignments.resources(asked), as_json)
        return
    prepared, part = reopen_whole(job, home_folder)
    given["resources"] = assignments.resources(asked)
    prepared.check(given["resources"], part)
    options = prepared.options(stage=stage, only=only, sub_job=part, **given)
    execute(prepared, options, as_json, standby)


@click.command()
@request_options
@click.option("--until", metavar="STAGE", help="Stop after this stage.")
@click.option("--stage", metavar="STAGE", help="For a job directory: as if rerun with --stage.")
@json_option
@home_option
def plan(
    type_name: str,
    home_folder: str | None,
    as_json: bool,
    until: str | None,
    stage: str | None,
    **request: Any,
) -> None:
    """Show what would run, stage by stage, and why; nothing is run.

    TYPE is a job type, with the options of run, or an existing job: its directory or its id.
    """
    if Home.find(home_folder).has_job(type_name):
        prepared, part = reopen_whole(type_name, home_folder)
        options = prepared.options(until=until, stage=stage, sub_job=part)
        _show_plan(prepared, options, as_json)
        return
    with tempfile.TemporaryDirectory(prefix="jobrunner-plan-") as scratch:
        home, stages = Home.find(home_folder), [until, stage]
        prepared = _create(home, type_name, request, stages, jobs=Path(scratch))
        _show_plan(prepared, prepared.options(until=until, stage=stage), as_json)


def _refuse_local(given: Mapping[str, Any]) -> None:
    """Refuse options that say how a job runs here, for one that runs elsewhere."""
    if names := [f"--{name}" for name, value in given.items() if value]:
        raise click.UsageError(f"{', '.join(names)}: the server decides on that.")


def reopen(job: str, home_folder: str | None) -> Prepared:
    """Open an existing job with its release and profile."""
    directory = Home.find(home_folder).job(job)
    sub_jobs.sync(directory.whole)
    return launch.reopen(Home.of(directory, home_folder), directory)


def reopen_whole(job: str, home_folder: str | None) -> tuple[Prepared, str | None]:
    """Open what runs for a job: of a sub-job its parent, with the sub-job's name."""
    directory = Home.find(home_folder).job(job)
    whole = directory.whole
    name = sub_jobs.split(directory.id)[1] if directory.parent else None
    return launch.reopen(Home.of(whole, home_folder), whole), name


def execute(
    prepared: Prepared, options: RunOptions, as_json: bool, standby: Standby | None
) -> None:
    """Run an attempt, show it, and exit with the status that it deserves."""
    console = Console(stderr=False)
    job = prepared.job
    before = list(job.events.read())
    state = JobState(prepared.job_type, before)
    if not as_json:
        console.print(f"Job [bold]{job.id}[/] in {escape(str(job.path))}", highlight=False)
        for warning in prepared.warnings:
            console.print(f"[yellow]{escape(warning)}[/]", highlight=False, soft_wrap=True)
    attempt = prepared.start(options, standby)
    try:
        with _display(state, console, as_json) as show:
            outcome = attempt.follow(show, since=before[-1]["n"] if before else 0)
    except KeyboardInterrupt:
        if not as_json:
            console.print("Stopping …")
        outcome = attempt.stop()
    state = JobState(prepared.job_type, job.events.read())
    if as_json:
        document.show(document.of_job(prepared, state))
    else:
        conclude(console, prepared, state, outcome)
    sys.exit({"succeeded": 0, "cancelled": 130}.get(outcome, 1))


def conclude(console: Console, prepared: Prepared, state: JobState, outcome: str) -> None:
    """Say how an attempt ended, and what to do now."""
    job = prepared.job
    if outcome == "succeeded":
        for label, value in _headline(prepared):
            console.print(f"{label:<22} {value}", markup=False, highlight=False, soft_wrap=True)
        return
    if state.error:
        stage = f" in stage {state.error['stage']}" if state.error["stage"] else ""
        console.print(f"[bold red]Failed{stage}[/] ({state.error['code']})", highlight=False)
        message = state.error["message"]
        console.print(message, markup=False, highlight=False, soft_wrap=True)
    problems = job.path / "results" / "problems.csv"
    if state.error and state.error["problems"] and problems.is_file():
        console.print(f"All problems: {problems}", markup=False, highlight=False, soft_wrap=True)
    said = {
        "cancelled": "Stopped. Continue with",
        "interrupted": "The attempt was killed. Continue with",
    }.get(outcome, "Run it again with")
    line = f"{said}: jobrunner rerun {job.path}"
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _headline(prepared: Prepared) -> list[tuple[str, str]]:
    """Give the lines that the job type's summary offers to people, then where things are."""
    job, results = prepared.job, prepared.job_type.results
    lines: list[tuple[str, str]] = []
    summary = job.path / results.get("summary", "-")
    if summary.is_file():
        headline = json.loads(summary.read_text(encoding="utf-8")).get("headline", {})
        lines += [(label, str(value)) for label, value in headline.items()]
    report = job.path / results.get("report", "-")
    if report.is_file():
        lines.append(("Report", str(report)))
    return lines or [("Done", str(job.path))]


def _display(state: JobState, console: Console, as_json: bool) -> Display:
    if as_json:
        return Silent(state)
    return LiveTable(state, console) if console.is_terminal else Lines(state, console)


def _show_plan(prepared: Prepared, options: RunOptions, as_json: bool) -> None:
    stages = make_plan(prepared, options)
    if as_json:
        document.show([vars(stage) for stage in stages])
    else:
        show_plan((stage.name, stage.runs, stage.reason) for stage in stages)


def show_plan(stages: Iterable[tuple[str, bool, str]]) -> None:
    """Print what would run: names of stages, whether each runs, and why."""
    console = Console()
    for name, runs, reason in stages:
        verb = "[bold]run [/]" if runs else "[dim]keep[/]"
        line = f"{verb} {escape(name):<12} [dim]{escape(reason)}[/]"
        console.print(line, highlight=False, soft_wrap=True)


def _create(
    home: Home,
    type_name: str,
    request: Mapping[str, Any],
    stages: Iterable[str | None],
    cores: int | None = None,
    jobs: Path | None = None,
) -> Prepared:
    version = request["version"]
    chosen = home.releases.get(version) if version else home.releases.newest(type_name)
    job_type = chosen.job_type(type_name)
    for name in filter(None, stages):
        job_type.stage(name)
    used = profile.load(request["profile"], home.path)
    used.credentials()  # before there is a job
    if cores:
        resources.check(job_type, used, {"cores": cores})
    wanted = None
    if request["processing"]:
        wanted = ProcessingRequest(request["processing"], request["revision"], request["entry"])
    elif request["revision"]:
        raise InvalidRequest("--revision goes with --processing PATH|URL.")
    inputs = assignments.pairs(request["inputs"], "--input")
    return launch.create(
        home,
        type_name,
        inputs={name: Path(path) for name, path in inputs.items()},
        params=assignments.typed(job_type.schema, assignments.pairs(request["params"], "--param")),
        version=chosen.label,
        profile_name=request["profile"],
        processing_request=wanted,
        asked=assignments.resources(request["asked"]),
        jobs=jobs,
    )
