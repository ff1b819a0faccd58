"""``jobrunner web``: the REST API."""

from __future__ import annotations

import click

from runner.cli.options import home_option


@click.command()
@home_option
@click.option("--host", help="Address to listen on. [default: $JOBRUNNER_HOST, else 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="[default: $JOBRUNNER_PORT, else 8000]")
@click.option("--fd", type=int, hidden=True, help="A socket that listens already.")
def web(home_folder: str | None, host: str | None, port: int | None, fd: int | None) -> None:
    """Serve the REST API with gunicorn; workers run apart from it.

    Database, Redis and home folder come from the environment: see config/README.md.
    """
    from webapp import migrate
    from webapp.cli.home import use_home
    from webapp.cli.logs import set_up_logs
    from webapp.service import Service
    from webapp.wsgi import Server

    use_home(home_folder)
    service = Service.open()
    settings = service.settings
    set_up_logs(settings.log_level)
    migrate.check(service.db)
    host = settings.host if host is None else host
    bracketed = f"[{host}]" if ":" in host else host
    address = f"{bracketed}:{settings.port if port is None else port}"
    Server(service, f"fd://{fd}" if fd is not None else address).run()


if __name__ == "__main__":
    web()
