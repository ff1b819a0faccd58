"""``jobrunner worker``: serve a pool on this host."""

from __future__ import annotations

import sys

import click

from runner.cli.options import home_option


@click.command()
@home_option
@click.option("--pool", default="default", show_default=True, help="The pool to serve.")
@click.option(
    "--slots",
    type=click.IntRange(1),
    help="Attempts at once. [default: cores; in the pool `slurm`, whose attempts wait, 32]",
)
@click.option("--cores", type=click.IntRange(1), help="Cores that they may use together.")
@click.option("--mem", "mem_mb", type=click.IntRange(1), help="Memory for them together, in MB.")
@click.option("--check", is_flag=True, hidden=True, help="Only find out whether it can work.")
def worker(
    home_folder: str | None,
    pool: str,
    slots: int | None,
    cores: int | None,
    mem_mb: int | None,
    check: bool,
) -> None:
    """Serve a pool on this host, beside any other host that shares the home folder.

    Ctrl-C drains: attempts that run are waited for. A second Ctrl-C stops them; their jobs are
    queued again and continue elsewhere, or here when it is started again. SIGHUP replaces it by
    the version that is installed then; attempts that run are not touched.
    """
    from runner import command, limits
    from runner.files import safe_label
    from webapp import migrate
    from webapp.cli.home import use_home
    from webapp.cli.logs import set_up_logs
    from webapp.service import Service
    from webapp.worker import WorkerProcess

    safe_label(pool, "Pool")
    use_home(home_folder)
    service = Service.open()
    set_up_logs(service.settings.log_level, service.settings.log_format)
    migrate.check(service.db)
    if check:
        command.warm()
        return
    limits.settle()
    process = WorkerProcess(service, pool, slots=slots, cores=cores, mem_mb=mem_mb)
    sys.exit(process.run())


if __name__ == "__main__":
    worker()
