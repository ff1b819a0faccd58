"""``jobrunner reindex``: the database rebuilt from the job directories."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from runner.cli.options import home_option, json_option

if TYPE_CHECKING:
    from webapp.reindex import Report
    from webapp.service import Service


@click.command()
@json_option
@home_option
def reindex(home_folder: str | None, as_json: bool) -> None:
    """Rebuild the jobs of a lost database from their directories.

    Adds the jobs that the database lacks and takes over what it has missed of the others; safe at
    any time, again and again, also while the service runs. Nobody is sent a notice of what happened
    before. Exit status 1: some directories could not be read, all others were.
    """
    from runner.cli import document
    from webapp import migrate
    from webapp.cli.home import use_home
    from webapp.service import Service

    use_home(home_folder)
    service = Service.open()
    migrate.upgrade(service.db)
    report = with_progress(service)
    if as_json:
        document.show(report.as_dict())
    else:
        tell(report)
    sys.exit(1 if report.problems else 0)


def with_progress(service: Service) -> Report:
    """Rebuild, with a bar on the terminal if there is one."""
    from webapp import reindex as rebuild

    with click.progressbar(length=0, label="Job directories", file=sys.stderr) as bar:

        def advance(done: int, of: int) -> None:
            bar.length = of
            bar.update(done - bar.pos)

        return rebuild.reindex(service, advance)


def tell(report: Report) -> None:
    """Say what was done, and all that is wrong."""
    click.echo(
        f"{report.found} jobs: {report.added} added, {report.updated} brought up to date, "
        f"{report.unchanged} were right."
    )
    if report.others:
        click.echo(f"{report.others} more were made by `jobrunner run`: they stay as they are.")
    if report.drafts:
        click.echo(f"{report.drafts} requests were never accepted: they are removed in a day.")
    for problem in report.problems:
        click.echo(f"{problem['directory']}: {problem['message']}", err=True)


if __name__ == "__main__":
    reindex()
