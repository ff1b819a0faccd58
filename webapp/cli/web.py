"""``jobrunner web``: the REST API."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from runner.cli.options import home_option

if TYPE_CHECKING:
    from webapp.settings import Settings


@click.command()
@home_option
@click.option("--host", help="Address to listen on. [default: $JOBRUNNER_HOST, else 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="[default: $JOBRUNNER_PORT, else 8000]")
@click.option("--fd", type=int, hidden=True, help="A socket that listens already.")
@click.option("--ready", type=int, hidden=True, help="A pipe to write to when it answers.")
def web(
    home_folder: str | None, host: str | None, port: int | None, fd: int | None, ready: int | None
) -> None:
    """Serve the REST API; workers run apart from it.

    SIGHUP replaces the server by one of the version that is installed then, without a request
    being lost. Database, Redis and home folder come from the environment: see config/README.md.
    """
    from webapp import migrate
    from webapp.cli.home import use_home
    from webapp.cli.logs import set_up_logs
    from webapp.service import Service

    use_home(home_folder)
    service = Service.open()
    set_up_logs(service.settings.log_level, service.settings.log_format)
    migrate.check(service.db)
    if fd is not None:
        from webapp.wsgi import Server

        Server(service, f"fd://{fd}", ready).run()
    else:
        sys.exit(_host(service.settings, host, port))


def _host(settings: Settings, host: str | None, port: int | None) -> int:
    from webapp.cli.sockets import handed_over, listen, url_of
    from webapp.cli.web_host import WebHost

    listener = handed_over() or listen(
        settings.host if host is None else host, settings.port if port is None else port
    )
    click.echo(f"The REST API: {url_of(listener)}/api/docs")
    sys.stdout.flush()
    return WebHost(listener, settings.web_processes).run()


if __name__ == "__main__":
    web()
