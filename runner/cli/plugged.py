"""What other packages add to the command line, each with the extra that it needs.

An entry point names its extra in brackets: ``submit = "webapp.cli.remote.submit:submit [client]"``.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import (
    EntryPoint,
    PackageNotFoundError,
    distribution,
    entry_points,
    requires,
)
from typing import Any

import click

COMMANDS = "jobrunner.commands"
SERVER = "jobrunner.server"  # what commands of our own do where they are told a --server
_DEFAULT_EXTRA = "web"
_BELONGS = {
    "web": "belongs to the service, which is not installed",
    "client": "talks to a service, and what it needs for that is not installed",
}


def names(group: str = COMMANDS) -> list[str]:
    """Give the names of what can be used, because its extra is installed."""
    return [found.name for found in _found(group).values() if _is_installed(_extra(found))]


def has(name: str, group: str = COMMANDS) -> bool:
    """Tell whether there is something of that name, installed or not."""
    return name in _found(group)


def load(name: str, group: str = COMMANDS) -> Any:
    """Give what is behind a name.

    Raises
    ------
    click.ClickException
        If its extra is not installed: it says what to install.
    """
    found = _found(group)[name]
    extra = _extra(found)
    if _is_installed(extra):
        return found.load()
    said = name if group == COMMANDS else f"{name} --server"
    raise click.ClickException(
        f"`jobrunner {said}` {_BELONGS.get(extra, 'needs more than is installed')}: "
        f"pip install 'ixmp-jobrunner[{extra}]'"
    )


def _found(group: str) -> dict[str, EntryPoint]:
    return {found.name: found for found in entry_points(group=group)}


def _extra(found: EntryPoint) -> str:
    return found.extras[0] if found.extras else _DEFAULT_EXTRA


@cache
def _is_installed(extra: str) -> bool:
    """Tell whether everything is there that an extra asks for."""
    from packaging.requirements import Requirement

    try:
        for text in requires("ixmp-jobrunner") or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                distribution(wanted.name)
    except PackageNotFoundError:
        return False
    return True
