"""``jobrunner backup`` and ``jobrunner restore``: database and configuration in one file."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.options import home_option, json_option

if TYPE_CHECKING:
    from webapp.backup import Restored, Saved

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@click.option("--with-secrets", is_flag=True, help="With the files that configuration refers to.")
@json_option
@home_option
def backup(home_folder: str | None, file: Path, with_secrets: bool, as_json: bool) -> None:
    """Write database and configuration into FILE (a .tar.gz), while the service works.

    All tables are as they were at one moment. Job directories are not in it: back them up as files,
    afterwards. Without --with-secrets no file is in it that may have a secret in it.
    """
    from runner.cli import document
    from webapp import backup as module
    from webapp.cli.home import use_home
    from webapp.service import Service

    use_home(home_folder)
    saved = module.backup(Service.open(), file, with_secrets=with_secrets)
    if as_json:
        document.show(asdict(saved))
    else:
        _tell_saved(saved)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Also where something is: it is lost then.")
@click.option(
    "--send-waiting", is_flag=True,
    help="Send notices that waited then: only if the service has not worked since.",
)  # fmt: skip
@click.option("--reindex/--no-reindex", default=True, help="Take in all job directories after it.")
@json_option
@home_option
def restore(
    home_folder: str | None,
    file: Path,
    replace: bool,
    send_waiting: bool,
    reindex: bool,
    as_json: bool,
) -> None:
    """Put the backup FILE back: into an empty database, SQLite or PostgreSQL, and the home.

    The service must not run. Afterwards what the job directories know besides is taken in, as
    `jobrunner reindex` does; exit status 1 if some of them could not be read.
    """
    from runner.cli import document
    from runner.home import Home
    from webapp import backup as module
    from webapp.cli.home import use_home
    from webapp.cli.one_machine import only_one
    from webapp.cli.reindex import tell, with_progress
    from webapp.service import Service

    use_home(home_folder)
    Home.find().path.mkdir(parents=True, exist_ok=True)
    service = Service.open()
    with only_one(service.home.path):
        done = module.restore(service, file, replace=replace, send_waiting=send_waiting)
        report = with_progress(service) if reindex else None
    if as_json:
        document.show({**asdict(done), "reindex": report.as_dict() if report else None})
    else:
        _tell_restored(done)
        if report:
            tell(report)
        else:
            click.echo("What happened after the backup is not there yet: jobrunner reindex")
    sys.exit(1 if report and report.problems else 0)


def _tell_saved(saved: Saved) -> None:
    rows = sum(saved.rows.values())
    jobs = saved.rows.get("jobs", 0)
    click.echo(f"{saved.path}: {jobs} jobs, {rows} rows in all, {saved.files} files.")
    for name in saved.left_out:
        click.echo(f"Not in it, as it may have secrets in it: config/{name}", err=True)


def _tell_restored(done: Restored) -> None:
    rows = sum(done.rows.values())
    click.echo(f"The backup of {done.made} is back: {done.rows.get('jobs', 0)} jobs, {rows} rows.")
    if done.given_up:
        click.echo(f"{done.given_up} notices waited then; as they may have arrived since, they are "
                   "given up.")  # fmt: skip
    for name in done.files:
        click.echo(f"Written: {name}")
    for name in done.kept:
        click.echo(f"Kept, as it is newer than in the backup: {name}")
    for name in done.left_out:
        click.echo(f"Not in the backup, put it back yourself: config/{name}", err=True)
