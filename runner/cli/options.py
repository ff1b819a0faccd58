"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

home_option = click.option(
    "--home",
    "home_folder",
    type=click.Path(file_okay=False),
    help="Folder of jobs, releases and environments [default: $JOBRUNNER_HOME, else "
    "~/.local/share/jobrunner].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")

resource_option = click.option(
    "--resource",
    "asked",
    metavar="[STAGE:]NAME=VALUE",
    multiple=True,
    help="Ask for more or less: cores, mem_mb, runtime (minutes), disk_mb, gpu.",
)


def request_options(command: F) -> F:
    """Add the options that describe a new job."""
    options = [
        click.argument("type_name", metavar="TYPE"),
        click.option("--input", "inputs", metavar="NAME=FILE", multiple=True, help="A file."),
        click.option(
            "--param", "params", metavar="NAME=VALUE", multiple=True, help="A parameter."
        ),
        resource_option,
        click.option("--version", metavar="LABEL", help="Release to use [default: the newest]."),
        click.option("--processing", metavar="PATH|URL", help="Processing repository."),
        click.option(
            "--revision", metavar="R", help="Its branch, tag or commit [default: HEAD]."
        ),
        click.option(
            "--entry", metavar="NAME", default="main", show_default=True,
            help="Function of its workflow.py.",
        ),
        click.option(
            "--profile", metavar="NAME", default="local", show_default=True,
            help="Execution profile: which platform, how rules run.",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command
