"""Commands that look at the jobs of a service: ``list``, ``show``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import click
from rich.markup import escape
from rich.table import Table

from runner.cli import document
from runner.cli.display import duration
from runner.cli.stage_table import table_of
from webapp.cli.remote.session import Remote, connected, json_option, server_option
from webapp.client import Job, Page

F = TypeVar("F", bound=Callable[..., Any])
_STATUSES = ("queued", "running", "stopping", "succeeded", "failed", "cancelled")
_SORTS = ("submitted", "started", "finished", "priority")
_STYLES = {"running": "cyan", "stopping": "yellow", "succeeded": "green", "failed": "bold red"}
_LARGEST_PAGE = 500


def _filters(command: F) -> F:
    """Add the options that say which jobs."""
    options = [
        click.option("--type", "type_name", metavar="TYPE", help="Of this job type."),
        click.option("--version", metavar="LABEL", help="That run this version."),
        click.option(
            "--status", type=click.Choice(_STATUSES), multiple=True,
            help="In this status; several by repeating it.",
        ),
        click.option("--user", help="Of this user."),
        click.option("--instance", help="Of this instance."),
        click.option("--tag", help="With this tag."),
        click.option("--parent", metavar="ID", help="Sub-jobs of this job."),
        click.option(
            "--sub-jobs/--no-sub-jobs", default=None,
            help="With sub-jobs, each a job of its own type [default: with them].",
        ),
        click.option(
            "--text", help="Words; each begins a word of id, type, user, tags or file names."
        ),
    ]  # fmt: skip
    for what in ("submitted", "started", "finished"):
        for when in ("after", "before"):
            help_text = f"{what.capitalize()} {when} this time, such as 2026-11-22 (RFC 3339, UTC)."
            options.append(click.option(f"--{what}-{when}", metavar="TIME", help=help_text))
    for option in reversed(options):
        command = option(command)
    return command


@click.command("list")
@_filters
@click.option(
    "--sort",
    type=click.Choice([sign + name for name in _SORTS for sign in ("", "-")]),
    default="-submitted",
    show_default=True,
    help="A leading -: newest or highest first.",
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most.")
@click.option("--all", "everything", is_flag=True, help="However many there are.")
@server_option
@json_option
def list_jobs(
    server: str | None,
    as_json: bool,
    limit: int,
    everything: bool,
    type_name: str | None,
    **filters: Any,
) -> None:
    """List jobs of a service; all filters that are given must fit."""
    filters["type"] = type_name
    with connected(server, as_json) as remote:
        page = _collected(remote, filters, None if everything else limit)
        if as_json:
            items = [job.document for job in page.items]
            document.show({"items": items, "next": page.next, "counts": page.counts})
        else:
            _table(remote, page)


@click.command()
@click.argument("job_id", metavar="ID")
@server_option
@json_option
def show(job_id: str, server: str | None, as_json: bool) -> None:
    """Show the job ID of a service: its stages, results, and why it waits or failed."""
    with connected(server, as_json) as remote:
        job = remote.client.job(job_id)
        if as_json:
            document.show(job.document)
        else:
            _show(remote, job)


def _collected(remote: Remote, filters: dict[str, Any], limit: int | None) -> Page:
    """Give the jobs of as many pages as it takes."""
    size = min(limit or _LARGEST_PAGE, _LARGEST_PAGE)
    first = remote.client.page(**filters, limit=size)
    if first.next is None or (limit is not None and limit <= size):
        return first
    more = remote.client.jobs(**filters, limit=size, cursor=first.next)
    rest = tuple(islice(more, None if limit is None else limit - size))
    return Page((*first.items, *rest), None, first.counts)


def _table(remote: Remote, page: Page) -> None:
    if not page.items:
        remote.say("There is no such job.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("Job", "Type", "Status", "Submitted", "Time", "User", "Tags"):
        table.add_column(name, no_wrap=name != "Tags")
    for indent, job in _in_families(page.items):
        cells = [indent + job.id, job.type, job.status, _local(job.submitted), _took(job), job.user]
        shown = [escape(cell) for cell in (*cells, ", ".join(job.tags))]
        shown[2] = f"[{_STYLES[job.status]}]{job.status}[/]" if job.status in _STYLES else shown[2]
        table.add_row(*shown)
    remote.console.print(table)
    if page.next:
        remote.say(f"{len(page.items)} are shown; --limit or --all shows more.", "dim")


def _in_families(jobs: Sequence[Job]) -> Iterator[tuple[str, Job]]:
    """Give jobs, those that are parts of another one indented below it, if it is there, too."""
    shown = {job.id for job in jobs}
    parts = sorted((job for job in jobs if job.parent in shown), key=lambda job: job.id)
    for job in jobs:
        if job.parent not in shown:
            yield "", job
            yield from (("  ", part) for part in parts if part.parent == job.id)


def _show(remote: Remote, job: Job) -> None:
    style = _STYLES.get(job.status, "bold")
    head = escape(f"Job {job.id} ({job.type} {job.version}): ")
    remote.console.print(f"{head}[{style}]{job.status}[/]", highlight=False, soft_wrap=True)
    for name, value in _facts(job):
        remote.say(f"{name:<12} {value}")
    remote.console.print(table_of(job.stages))
    if job.sub_jobs:
        _sub_jobs(remote, job)
    if job.error:
        remote.say(job.error.message)
    for artifact in job.artifacts:
        remote.say(f"{artifact.bytes:>14,} bytes  {artifact.path}")
    if job.ended and job.document.get("files_gone"):
        remote.say("Its files are gone.")
    elif job.ended and not job.parent:
        remote.say(f"Bring it here with: {remote.command('pull', job.id)}", "dim")


def _sub_jobs(remote: Remote, job: Job) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("Sub-job", "Type", "Status", "Time", ""):
        table.add_column(name, justify="right" if name == "Time" else "left")
    for part in job.sub_jobs:
        said = part.error.message.partition("\n")[0] if part.error else part.title or ""
        cells = [part.id, part.type, part.status, _took(part), said]
        table.add_row(*map(escape, cells))
    remote.console.print(table)


def _facts(job: Job) -> list[tuple[str, str]]:
    facts = [
        ("submitted", f"{_local(job.submitted)} by {job.user} for {job.instance}"),
        ("part of", job.parent or ""),
        ("asked for", ", ".join(_asked(job.document.get("request", {}).get("resources") or {}))),
        ("waits", job.waiting.message if job.waiting else ""),
        ("tags", ", ".join(job.tags)),
        ("attempts", str(job.attempt) if job.attempt > 1 else ""),
        ("took", _took(job)),
    ]
    return [(name, value) for name, value in facts if value]


def _asked(resources: Mapping[str, Any], stage: str = "") -> Iterator[str]:
    """Write the resources that were asked for as the option `--resource` takes them."""
    for name, value in resources.items():
        if name != "stages":
            yield f"{stage}{name}={value}"
    for name, own in resources.get("stages", {}).items():
        yield from _asked(own, f"{name}:")


def _local(moment: str | None) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M") if moment else ""


def _took(job: Job) -> str:
    if not (job.started and job.finished):
        return ""
    begin, end = datetime.fromisoformat(job.started), datetime.fromisoformat(job.finished)
    return duration((end - begin).total_seconds())
