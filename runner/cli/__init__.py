"""The command line ``jobrunner``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; an error is a message, never a traceback."""
    standby = None
    if sys.argv[1:2] in (["run"], ["rerun"]) and not _on_a_server(sys.argv):
        from runner.standby import Standby

        standby = Standby()  # before our own imports, which take as long as Snakemake's

    import click

    from runner.cli.commands import cli
    from runner.errors import JobRunnerError

    try:
        cli.main(standalone_mode=False, obj=standby)
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


def _on_a_server(argv: list[str]) -> bool:
    return any(word.partition("=")[0] == "--server" for word in argv)
