"""``jobrunner migrate``: the tables of the database brought to what this version needs."""

from __future__ import annotations

import click

from runner.cli.options import home_option


@click.command()
@home_option
def migrate(home_folder: str | None) -> None:
    """Bring the database of the service to this version; changes nothing if it is there.

    Which database: JOBRUNNER_DATABASE_URL, else the one in the home folder. `jobrunner up` does
    this by itself.
    """
    from webapp import migrate as tables
    from webapp.cli.home import use_home
    from webapp.db import Database
    from webapp.settings import Settings

    use_home(home_folder)
    database = Database(Settings().database_url)
    before = tables.current(database)
    tables.upgrade(database)
    if before == tables.head():
        click.echo(f"The tables are those of this version already (revision {before}).")
    else:
        click.echo(f"The tables came from revision {before or 'none'} to {tables.head()}.")


if __name__ == "__main__":
    migrate()
