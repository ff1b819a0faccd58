"""Commands for tokens: ``jobrunner token create | list | revoke``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from sqlalchemy.orm import Session

from runner.cli import document
from runner.cli.options import home_option, json_option
from runner.files import now
from runner.home import Home
from webapp import migrate, tokens
from webapp.db import Database
from webapp.instances import Instances
from webapp.models import Token
from webapp.settings import Settings

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_COLUMNS = ("id", "name", "role", "instance", "acting", "state", "created", "expires")


class _Moment(click.ParamType[datetime]):
    """A moment to come: so many hours, days or weeks from now, or a date."""

    name = "expires"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if match := re.fullmatch(r"(\d{1,5})([hdw])", value):
            return datetime.now(UTC) + timedelta(**{_UNITS[match[2]]: int(match[1])})
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither like 90d (h, d, w) nor a date like 2027-01-31.")
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if moment <= datetime.now(UTC):
            self.fail(f"{value} is past.")
        return moment


@click.group()
def token() -> None:
    """Make, list and revoke the tokens that give access to the service."""


@token.command()
@click.option("--name", required=True, help="Whose it is: the user under whom its jobs are listed.")
@click.option("--role", required=True, type=click.Choice(tokens.ROLES))
@click.option("--instance", help="The only instance that it is for [default: all].")
@click.option("--acting", is_flag=True, help="A service's: it may name the user for whom it asks.")
@click.option("--expires", type=_Moment(), help="After 12h, 90d, 2w, or at a date [default: never]")
@home_option
def create(home_folder: str | None, **given: Any) -> None:
    """Make a token and print it: once, for only its hash is kept."""
    settings = _settings(home_folder)
    if given["instance"]:
        Instances(settings.home).get(given["instance"])  # a token for none would be a typing error
    with _writing(settings) as session:
        text = tokens.create(session, **given)
    click.echo(text)
    where = f"for instance {given['instance']}" if given["instance"] else "for all instances"
    until = f"until {given['expires']:%Y-%m-%d %H:%M} UTC" if given["expires"] else "until revoked"
    identifier = text.split("_")[1]
    click.echo(f"Role {given['role']} {where}, {until}. It is not shown again.", err=True)
    click.echo(f"Take it back with: jobrunner token revoke {identifier}", err=True)


@token.command("list")
@json_option
@home_option
def list_(home_folder: str | None, as_json: bool) -> None:
    """List the tokens; their secrets are not known."""
    with _writing(_settings(home_folder)) as session:
        rows = [_row(found) for found in tokens.all(session)]
    if as_json:
        document.show(rows)
        return
    lines = [_COLUMNS, *(tuple(_cell(row[name]) for name in _COLUMNS) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(map(str.ljust, line, widths)).rstrip())


@token.command()
@click.argument("token_id", metavar="ID")
@home_option
def revoke(home_folder: str | None, token_id: str) -> None:
    """End the token ID (as `list` shows it, or the token itself) now."""
    if token_id.startswith("jr_"):  # somebody pasted all of it
        token_id = token_id.split("_")[1]
    with _writing(_settings(home_folder)) as session:
        found = tokens.revoke(session, token_id)
    click.echo(f"Token {found.id} ({found.name}) is revoked since {found.revoked}.")


def _settings(home_folder: str | None) -> Settings:
    return Settings(home=Home.find(home_folder).path) if home_folder else Settings()


@contextmanager
def _writing(settings: Settings) -> Iterator[Session]:
    """Give a session; the tables are made if this is the first command of the service."""
    database = Database(settings.database_url)
    try:
        if migrate.current(database) is None:
            migrate.upgrade(database)
        migrate.check(database)  # older tables are brought up by `jobrunner migrate` alone
        with database.write() as session:
            yield session
    finally:
        database.engine.dispose()


def _row(found: Token) -> dict[str, Any]:
    row = {name: getattr(found, name) for name in ("id", "name", "role", "instance", "acting")}
    expired = found.expires is not None and found.expires <= now()
    state = "revoked" if found.revoked else "expired" if expired else "valid"
    times = {name: getattr(found, name) for name in ("created", "expires", "revoked")}
    return {**row, "state": state, **times}


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return "" if value is None else str(value)
