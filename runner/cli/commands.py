"""The command ``jobrunner`` and its subcommands."""

from __future__ import annotations

import click

from runner import __version__
from runner.cli import doctor, execute, look, modules, plugged, sources

_COMMANDS = (
    execute.run,
    execute.plan,
    execute.rerun,
    look.status,
    look.logs,
    look.files,
    sources.types,
    sources.new_type,
    sources.publish,
    modules.modules,
    doctor.doctor,
)


class _Commands(click.Group):
    """Our own commands, and those that others add where what they need is installed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *plugged.names()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if own := super().get_command(ctx, cmd_name):
            return own
        if not plugged.has(cmd_name):
            return None
        command: click.Command = plugged.load(cmd_name)
        return command


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
