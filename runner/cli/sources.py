"""Commands about job types and releases: ``types``, ``publish``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from runner import checking, layout
from runner.cli import document, usage
from runner.cli.options import home_option, json_option
from runner.home import Home
from runner.jobtype import JobType
from runner.release import Release


@click.command()
@click.argument("type_name", metavar="[TYPE]", required=False)
@click.option("--version", metavar="LABEL", help="Release to look at [default: the newest].")
@click.option(
    "--check", is_flag=True, help="TYPE is a folder: check the job types in it [default: here]."
)
@click.option(
    "--usage", "of_usage", is_flag=True, help="Propose resources from what past jobs used."
)
@json_option
@home_option
def types(
    type_name: str | None,
    version: str | None,
    check: bool,
    of_usage: bool,
    home_folder: str | None,
    as_json: bool,
) -> None:
    """List the job types, or the inputs, parameters, stages and versions of one.

    With --check, say all that is wrong with job types that are being written. With --usage, say
    what the stages of past jobs used, and propose resources.
    """
    if of_usage:
        usage.show(Home.find(home_folder), type_name, as_json)
        return
    if check:
        _check(Path(type_name or "."), as_json)
        return
    releases = Home.find(home_folder).releases
    releases.publish_shipped()
    if type_name is None:
        _list([releases.get(version)] if version else releases.all(), as_json)
        return
    job_type = (releases.get(version) if version else releases.newest(type_name)).job_type(
        type_name
    )
    described = _describe(job_type, _versions(releases.all(), type_name))
    if as_json:
        document.show(described)
    else:
        _show(described)


@click.command("new-type")
@click.argument("name")
@click.option(
    "--to",
    "folder",
    metavar="FOLDER",
    default=".",
    show_default=True,
    help="The workflow source that it becomes a part of.",
)
def new_type(name: str, folder: str) -> None:
    """Lay out a job type NAME that works, with a test, to be changed into one's own."""
    for path in layout.new_type(name, Path(folder)):
        click.echo(path)
    click.echo(
        f"Check it with `jobrunner types --check {folder}`, and run its test with"
        f" `pytest {Path(folder, 'tests', f'test_{name}.py')}`."
    )


@click.command()
@click.argument("source", metavar="SOURCE")
@click.option("--revision", metavar="R", help="Branch, tag or commit of a git repository.")
@click.option("--as", "label", metavar="LABEL", required=True, help="The version label.")
@json_option
@home_option
def publish(
    source: str, revision: str | None, label: str, home_folder: str | None, as_json: bool
) -> None:
    """Publish a workflow source as a release: a folder, or a revision of a git repository."""
    releases = Home.find(home_folder).releases
    releases.publish_shipped()  # before, so that the newest release is the one published by hand
    release = releases.publish(source, label, revision)
    if as_json:
        document.show({"label": release.label, "digest": release.digest})
        return
    click.echo(f"Release {release.label} ({release.digest}) with {', '.join(release.type_names())}")


def _check(source: Path, as_json: bool) -> None:
    found = {folder: checking.check(folder) for folder in checking.job_types(source)}
    if as_json:
        document.show(
            [{"type": f.name, "faults": [asdict(x) for x in faults]} for f, faults in found.items()]
        )
    else:
        for folder, faults in found.items():
            click.echo(f"{folder.name}: {'ok' if not faults else ''}".rstrip())
            for fault in faults:
                where = f"{folder / fault.file}{': ' if fault.where else ''}{fault.where}"
                click.echo(f"  {where}: {fault.message}")
    if any(found.values()):
        sys.exit(2)


def _versions(releases: list[Release], type_name: str) -> list[str]:
    return [r.label for r in reversed(releases) if type_name in r.type_names()]


def _list(releases: list[Release], as_json: bool) -> None:
    newest = {name: release for release in releases for name in release.type_names()}
    found = [(newest[name].job_type(name), newest[name].label) for name in sorted(newest)]
    if as_json:
        document.show([{"name": t.name, "title": t.title, "version": v} for t, v in found])
        return
    for job_type, label in found:
        click.echo(f"{job_type.name:<24} {label:<20} {job_type.title}: {job_type.description}")


def _describe(job_type: JobType, versions: list[str]) -> dict[str, Any]:
    return {
        "name": job_type.name,
        "title": job_type.title,
        "description": job_type.description,
        "versions": versions,
        "inputs": [vars(spec) for spec in job_type.inputs.values()],
        "params": job_type.schema,
        "stages": [{"name": s.name, "title": s.title} for s in job_type.stages],
        "results": dict(job_type.results),
        "processing": job_type.processing,
        "sub_jobs": [
            {"name": part.name, "type": part.type.name, "title": part.title}
            for part in job_type.sub_jobs.values()
        ],
    }


def _show(described: dict[str, Any]) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]{described['name']}[/]: {escape(described['description'])}")
    console.print(f"Versions: {', '.join(described['versions'])}")
    console.print(f"Processing repository: {described['processing']}")
    rows = [
        (
            i["name"],
            f"{i['title']} ({', '.join(i['suffixes'])})",
            "required" if i["required"] else "",
        )
        for i in described["inputs"]
    ]
    _table(console, "Inputs", rows)
    properties = described["params"].get("properties", {})
    required = described["params"].get("required", [])
    rows = [
        (name, p.get("description", p.get("title", "")), _kind(p, name in required))
        for name, p in properties.items()
    ]
    _table(console, "Parameters", rows)
    if parts := [(p["name"], f"{p['title']} ({p['type']})", "") for p in described["sub_jobs"]]:
        _table(console, "Sub-jobs", parts)
    _table(console, "Stages", [(s["name"], s["title"], "") for s in described["stages"]])


def _kind(parameter: dict[str, Any], required: bool) -> str:
    kind = " | ".join(map(str, parameter.get("enum", ()))) or parameter.get("type", "any")
    default = f", default {parameter['default']}" if "default" in parameter else ""
    return f"{kind}{', required' if required else default}"


def _table(console: Console, title: str, rows: list[tuple[str, str, str]]) -> None:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, show_header=False
    )
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)
