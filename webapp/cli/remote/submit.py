"""The command ``submit``: a job for a service, its files uploaded with a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from runner.cli import document
from runner.cli.assignments import pairs, resources, typed
from runner.cli.execute import show_plan
from webapp.cli.remote.follow import wait, watch
from webapp.cli.remote.session import Remote, connected, json_option, server_option
from webapp.client import Job, Plan


@click.command()
@click.argument("type_name", metavar="TYPE")
@click.option("--input", "inputs", metavar="NAME=FILE", multiple=True, help="A file.")
@click.option("--param", "params", metavar="NAME=VALUE", multiple=True, help="A parameter.")
@click.option(
    "--resource",
    "asked",
    metavar="[STAGE:]NAME=VALUE",
    multiple=True,
    help="Ask for more or less: cores, mem_mb, runtime (minutes), disk_mb, gpu.",
)
@click.option("--instance", metavar="NAME", help="Whose job it is [default: the token's].")
@click.option("--version", metavar="LABEL", help="Release to use [default: the newest].")
@click.option("--profile", metavar="NAME", help="Execution profile [default: the instance's].")
@click.option("--priority", type=click.IntRange(-100, 100), help="Higher goes first [default: 0].")
@click.option("--tag", "tags", metavar="WORD", multiple=True, help="A word to filter by.")
@click.option("--notify", metavar="ADDRESS", multiple=True, help="Who is told of the end by mail.")
@click.option("--plan", is_flag=True, help="Only say what would run; nothing is submitted.")
@click.option("--follow", is_flag=True, help="Show how it goes on, until it has ended.")
@server_option
@json_option
def submit(
    type_name: str,
    server: str | None,
    as_json: bool,
    plan: bool,
    follow: bool,
    inputs: tuple[str, ...],
    params: tuple[str, ...],
    asked: tuple[str, ...],
    **request: Any,
) -> None:
    """Submit a job of TYPE to a service.

    Sent again after a broken connection it stays one job. Exit status: 0 it is accepted, or with
    --follow has succeeded; 1 with --follow: it failed; 2 it was refused.
    """
    if plan and follow:
        raise click.UsageError("--plan submits nothing that could be followed.")
    with connected(server, as_json) as remote:
        files = pairs(inputs, "--input")
        request["resources"] = resources(asked)
        given = _typed(remote, type_name, pairs(params, "--param"), request)
        if plan:
            _show_plan(remote, _planned(remote, type_name, files, given, request))
            return
        with _bar(remote) as progress:
            job = remote.client.submit(type_name, files, given, **request, progress=progress)
        _accepted(remote, job, follow)


def _typed(
    remote: Remote, type_name: str, params: Mapping[str, str], request: Mapping[str, Any]
) -> dict[str, Any]:
    """Turn texts into what the job type's schema wants."""
    if not params:
        return {}
    known = remote.client.type(type_name, instance=request["instance"], version=request["version"])
    return typed(known.params, params)


def _planned(
    remote: Remote,
    type_name: str,
    files: Mapping[str, str],
    params: Mapping[str, Any],
    request: Mapping[str, Any],
) -> Plan:
    named = {name: request[name] for name in ("instance", "version", "profile", "resources")}
    with _bar(remote) as progress:
        return remote.client.plan(type_name, files, params, **named, progress=progress)


def _show_plan(remote: Remote, plan: Plan) -> None:
    if remote.as_json:
        document.show(plan.document)
        return
    for warning in plan.warnings:
        remote.say(warning, "yellow")
    show_plan((stage.name, stage.runs, stage.reason) for stage in plan.stages)


def _accepted(remote: Remote, job: Job, follow: bool) -> None:
    if remote.as_json:
        done = wait(remote, job.id) if follow else job
        document.show(done.document)
        if follow and done.status != "succeeded":
            raise SystemExit(1)
        return
    for warning in job.warnings:
        remote.say(warning, "yellow")
    if follow:
        watch(remote, job.id)
    remote.say(f"Job {job.id} is accepted: {remote.client.server}{job.url}")
    remote.say(f"Follow it with: {remote.command('follow', job.id)}")


@contextmanager
def _bar(remote: Remote) -> Iterator[Callable[[int, int], None] | None]:
    """Show how much is sent, on a terminal."""
    if remote.as_json or not remote.console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=remote.console, transient=True) as shown:
        task = shown.add_task("Sending", total=None)

        def tell(sent: int, total: int) -> None:
            done = sent >= total
            what = "Sent; the server checks it" if done else "Sending"
            shown.update(task, completed=sent, total=total, description=what)

        yield tell
