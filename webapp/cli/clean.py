"""``jobrunner clean``: files of jobs that are kept no longer."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from runner.cli import document
from runner.cli.options import home_option, json_option

if TYPE_CHECKING:
    from webapp.retention import Report, Total
    from webapp.service import Service

_NAMES = {"work": "work files", "results": "result files", "logs": "logs"}


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@json_option
@home_option
def clean(home_folder: str | None, dry_run: bool, as_json: bool) -> None:
    """Remove the files of jobs whose time of retention is over, all at once.

    The service does this by itself, a number of jobs at a time. Jobs that are pinned, in use or
    have not ended are left alone; requests, inputs and events of all jobs stay.
    """
    from webapp import migrate, retention
    from webapp.cli.home import use_home
    from webapp.service import Service

    use_home(home_folder)
    service = Service.open()
    migrate.check(service.db)
    if dry_run:
        totals, hindered = retention.survey(service), 0
    else:
        report = retention.Sweeper(service).sweep()
        totals, hindered = _totals(report), len(report.hindered)
    free = retention.free(service)
    if as_json:
        said = {kind: asdict(total) for kind, total in totals.items()}
        disk = {"free": free, "low": service.settings.disk_low}
        document.show({"dry_run": dry_run, **said, "hindered": hindered, "disk": disk})
    else:
        _say(service, totals, hindered, free, "would go" if dry_run else "went")


def _totals(report: Report) -> dict[str, Total]:
    from webapp.retention import Total

    found = {kind: Total() for kind in _NAMES}
    for kind, amounts in report.removed.items():
        for amount in amounts:
            found[kind].add(amount)
    return found


def _say(service: Service, totals: dict[str, Total], hindered: int, free: int, went: str) -> None:
    from webapp.jobs import Amount, told_size

    for kind, total in totals.items():
        amount = Amount(total.files, total.bytes)
        jobs = "1 job" if total.jobs == 1 else f"{total.jobs:,} jobs"
        click.echo(f"{_NAMES[kind]:<13} of {jobs}: {amount} {went}")
    if hindered:
        click.echo(f"{hindered:,} jobs are in use, or refused: the log says why.")
    click.echo(f"The disk has {told_size(free)} free.")
    if free < service.settings.disk_low:
        click.echo(
            f"That is less than JOBRUNNER_DISK_LOW ({told_size(service.settings.disk_low)}): work "
            "files of the oldest succeeded jobs go before their time."
        )


if __name__ == "__main__":
    clean()
