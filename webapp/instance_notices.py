"""Whom an instance tells what happens to its jobs: the keys ``mail`` and ``webhooks`` of its file.

Nothing here is a secret: passwords and keys are references, see `runner.reference`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from runner.errors import InvalidConfiguration

EVENTS = ("job.*",)  # what a webhook is told that names no events


@dataclass(frozen=True)
class Mail:
    """How an instance sends mails; None: as the service does.

    Attributes
    ----------
    server : str or None
        Address of the mail server, or a reference to it.
    sender : str or None
        Who mails come from.
    link : str or None
        Address of a page about a job, with ``{id}`` for its id.
    """

    server: str | None = None
    sender: str | None = None
    link: str | None = None


@dataclass(frozen=True)
class Webhook:
    """A receiver of events.

    Attributes
    ----------
    url : str
        Where it is, or a reference to that.
    secret : str
        Reference to the key of its signatures.
    events : tuple of str
        Patterns of the names of events that it is told of.
    """

    name: str
    url: str
    secret: str
    events: tuple[str, ...] = EVENTS

    def wants(self, event: str) -> bool:
        """Tell whether it is told of an event of that name."""
        return any(fnmatchcase(event, pattern) for pattern in self.events)


def mail_of(spec: Mapping[str, Any] | None) -> Mail:
    """Read the key ``mail``, which is known to be right."""
    given = spec or {}
    return Mail(given.get("server"), given.get("from"), given.get("link"))


def webhooks_of(specs: list[Mapping[str, Any]] | None) -> tuple[Webhook, ...]:
    """Read the key ``webhooks``, whose form is known to be right.

    Raises
    ------
    InvalidConfiguration
        If two have the same name.
    """
    names = [spec["name"] for spec in specs or ()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidConfiguration(f"Two webhooks are called {twice[0]!r}: name them apart.")
    return tuple(
        Webhook(spec["name"], spec["url"], spec["secret"], tuple(spec.get("events", EVENTS)))
        for spec in specs or ()
    )
