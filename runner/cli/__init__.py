"""The command line ``jobrunner``."""

from __future__ import annotations

import sys

import click

from runner import __version__
from runner.cli import doctor, execute, look, sources
from runner.errors import JobRunnerError

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


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="jobrunner")
def cli() -> None:
    """Run jobs of scenario databases: each is a Snakemake run over a directory of its own.

    Exit status: 0 done, 1 the job failed, 2 wrong use or invalid input, 130 stopped by Ctrl-C.
    """


for _command in _COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Run the command line; an error is a message, never a traceback."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except JobRunnerError as error:
        click.echo(f"Error: {error.message}", err=True)
        sys.exit(2)
    except BrokenPipeError:  # `jobrunner logs … | head`
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        click.echo(f"Error: {error.strerror or error}: {error.filename or ''}", err=True)
        sys.exit(2)
