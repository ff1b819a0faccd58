"""The command ``modules``: environment modules for the environments of a release."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli import document
from runner.cli.options import home_option, json_option
from runner.home import Home
from runner.release import Release


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path))
@click.option("--version", metavar="LABEL", help="Release [default: the newest].")
@click.option(
    "--prefix", default="jobrunner", show_default=True, help="First part of the modules' names."
)
@click.option("--default", is_flag=True, help="Load these where no version is named.")
@click.option(
    "--environments",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where environments are built [default: those of the home].",
)
@json_option
@home_option
def modules(
    folder: Path,
    version: str | None,
    prefix: str,
    default: bool,
    environments: Path | None,
    home_folder: str | None,
    as_json: bool,
) -> None:
    """Write environment modules for the environments of a release, which are built if need be.

    FOLDER is one for `module use`; it and the environments must be on storage that all nodes share.
    A profile with `environments: modules` uses them.
    """
    from runner.envmodules.write import write
    from runner.standin.store import EnvironmentStore

    home = Home.find(home_folder)
    release = _release(home, version)
    store = EnvironmentStore(environments or home.environments)
    written = write(release, folder, store, prefix=prefix, default=default)
    if as_json:
        document.show({name: str(path) for name, path in written.items()})
        return
    for name, path in written.items():
        click.echo(f"{name:<40} {path}")
    click.echo(f"For use: module use {folder.absolute()}")


def _release(home: Home, label: str | None) -> Release:
    home.releases.publish_shipped()
    if label:
        return home.releases.get(label)
    newest = home.releases.all()[-1]
    newest.verify()
    return newest
