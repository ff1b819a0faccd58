"""``jobrunner up``: the whole service on one machine, with nothing to set up."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.options import home_option

if TYPE_CHECKING:
    from webapp.cli.one_machine import OneMachine
    from webapp.service import Service


@click.command()
@home_option
@click.option("--host", help="Address to listen on. [default: $JOBRUNNER_HOST, else 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="0: any free one. [default: $JOBRUNNER_PORT, else 8000]",
)
@click.option("--slots", type=click.IntRange(1), help="Attempts at once. [default: cores]")
@click.option(
    "--slurm-slots",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Serve the pool `slurm`, too: so many attempts at once that wait for a cluster.",
)
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the first admin token there instead of printing it.",
)
def up(
    home_folder: str | None,
    host: str | None,
    port: int | None,
    slots: int | None,
    slurm_slots: int,
    token_file: Path | None,
) -> None:
    """Run the whole service: API, workers, database and queue, in one home folder.

    Ctrl-C drains: attempts that run are waited for. A second Ctrl-C stops them; their jobs are
    queued again and continue at the next start. SIGHUP replaces web server and worker by those of
    the version that is installed then: no request fails, no attempt is interrupted.
    """
    from runner import limits
    from webapp.cli.home import use_home
    from webapp.cli.logs import set_up_logs
    from webapp.cli.one_machine import OneMachine, only_one
    from webapp.cli.prepare import prepare
    from webapp.cli.sockets import listen
    from webapp.service import Service
    from webapp.settings import Settings

    use_home(home_folder)
    settings = Settings()
    set_up_logs(settings.log_level, settings.log_format)
    settings.home.mkdir(parents=True, exist_ok=True)
    limits.settle()
    with only_one(settings.home):
        listener = listen(
            settings.host if host is None else host, settings.port if port is None else port
        )
        service = Service.open(settings)
        prepare(service)
        pools = {"default": slots or os.cpu_count() or 1}
        if slurm_slots:
            pools["slurm"] = slurm_slots
        machine = OneMachine(service, listener, pools)
        machine.start()
        click.echo(_welcome(machine, _first_token(service, token_file)))
        sys.stdout.flush()
        code = machine.run()
    sys.exit(code)


def _first_token(service: Service, file: Path | None) -> str:
    """Make an admin token if there is none yet, and tell where it is."""
    from sqlalchemy import select

    from webapp import tokens
    from webapp.models import Token

    known = select(Token).where(Token.role == "admin", Token.revoked.is_(None)).limit(1)
    with service.db.exclusive("first token") as session:
        if session.scalars(known).first() is not None:
            return "made before; another one: jobrunner token create --name NAME --role admin"
        text = tokens.create(session, name="admin", role="admin")
        if file is None:
            return f"{text} (shown only now)"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            os.fchmod(descriptor, 0o600)
            stream.write(text + "\n")
        return f"in {file}"


def _welcome(machine: OneMachine, token: str) -> str:
    further = [f", {n} of pool {pool}" for pool, n in machine.slots.items() if pool != "default"]
    slots = "".join([str(machine.slots["default"]), *further])
    return f"""\
The job runner is up: {machine.url}
  API        {machine.url}/api/docs
  home       {machine.service.home.path}
  slots      {slots}
  token      {token}

Submit a file, with that token in $TOKEN:
  curl {machine.url}/api/v1/jobs -H "Authorization: Bearer $TOKEN" \\
    -F 'request={{"type": "import_timeseries", "instance": "default"}}' \\
    -F workbook=@examples/example-workbook.xlsx

Ctrl-C ends it once running attempts have ended; a second one stops them.\
"""


if __name__ == "__main__":
    up()
