"""What all commands that talk to a service have in common."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import click
from rich.console import Console

from runner.cli import document
from runner.cli.options import json_option
from runner.errors import JobRunnerError
from webapp.cli.remote import access
from webapp.cli.remote.access import Access
from webapp.client import ApiError, Client

server_option = click.option(
    "--server",
    metavar="URL",
    help="Address of the service [default: $JOBRUNNER_SERVER, else what client.yaml says, else "
    f"{access.DEFAULT_SERVER}].",
)
_PATIENCE = 8.0  # seconds; a person sits there
__all__ = ["Remote", "connected", "json_option", "server_option"]


def _once(seconds: float = 30.0) -> Callable[[str], None]:
    """Give what says a thing once, and again only after some time."""
    said: dict[str, float] = {}

    def say(text: str) -> None:
        if time.monotonic() - said.get(text, -seconds) >= seconds:
            said[text] = time.monotonic()
            click.echo(f"{text}; trying again …", err=True)

    return say


@dataclass
class Remote:
    """A service, and how to talk of it to a person.

    Attributes
    ----------
    named : bool
        Whether it was named by an option, so that it must be named again.
    console : Console
        Where results go.
    hear : callable
        Told when the service is away.
    """

    client: Client
    access: Access
    as_json: bool
    named: bool = False
    console: Console = field(default_factory=Console)
    hear: Callable[[str], None] = field(default_factory=_once)

    def say(self, line: str, style: str | None = None) -> None:
        """Print a line for people, as it is."""
        self.console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)

    def command(self, verb: str, job_id: str) -> str:
        """Give a command of ours that works for this service."""
        named = self.named or verb == "rerun"
        return f"jobrunner {verb} {job_id}" + (f" --server {self.client.server}" if named else "")


@contextmanager
def connected(server: str | None, as_json: bool) -> Iterator[Remote]:
    """Give the service; what it refuses is said, as JSON where that is wanted, with status 2.

    Parameters
    ----------
    server : str or None
        As the option says.
    as_json : bool
        Whether one JSON document is printed, whatever happens.
    """
    try:
        found = access.find(server)
        remotes: list[Remote] = []

        def hear(text: str) -> None:
            remotes[0].hear(text)

        with Client(found.server, found.token, on_away=hear, patience=_PATIENCE) as client:
            remotes.append(Remote(client, found, as_json, named=server is not None))
            try:
                yield remotes[0]
            except ApiError as error:
                error.message = _explained(error, found)
                raise
    except JobRunnerError as error:
        if not as_json:
            raise
        document.show({"status": "refused", "error": error.as_dict()})
        sys.exit(2)


def _explained(error: ApiError, found: Access) -> str:
    """Add what a person can do, and how the operators find it."""
    if error.status == 401:
        return f"{found.server} does not accept the token from {found.found}: {error.message}"
    if error.status >= 500 and error.request_id:
        return f"{error.message}\nTell the operators of {found.server}: request {error.request_id}."
    return error.message
