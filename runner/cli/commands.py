"""The command ``jobrunner`` and its subcommands."""

from __future__ import annotations

from functools import cache
from importlib.metadata import (
    EntryPoint,
    PackageNotFoundError,
    distribution,
    entry_points,
    requires,
)

import click

from runner import __version__
from runner.cli import doctor, execute, look, sources

_COMMANDS = (
    execute.run,
    execute.plan,
    execute.rerun,
    look.status,
    look.logs,
    look.files,
    sources.types,
    sources.publish,
    doctor.doctor,
)


class _Commands(click.Group):
    """Our own commands, and those that the service adds where it is installed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        further = _further() if _service_is_installed() else ()
        return [*super().list_commands(ctx), *further]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if own := super().get_command(ctx, cmd_name):
            return own
        if cmd_name not in _further():
            return None
        if _service_is_installed():
            command: click.Command = _further()[cmd_name].load()
            return command
        raise click.ClickException(
            f"`jobrunner {cmd_name}` belongs to the service, which is not installed: "
            "pip install 'ixmp-jobrunner[web]'"
        )


def _further() -> dict[str, EntryPoint]:
    return {found.name: found for found in entry_points(group="jobrunner.commands")}


@cache
def _service_is_installed() -> bool:
    """Tell whether everything is there that the extra `web` asks for."""
    from packaging.requirements import Requirement

    try:
        for text in requires("ixmp-jobrunner") or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": "web"}):
                distribution(wanted.name)
    except PackageNotFoundError:
        return False
    return True


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="jobrunner")
def cli() -> None:
    """Run jobs of scenario databases: each is a Snakemake run over a directory of its own.

    Exit status: 0 done, 1 the job failed, 2 wrong use or invalid input, 130 stopped by Ctrl-C.
    """


for _command in _COMMANDS:
    cli.add_command(_command)
