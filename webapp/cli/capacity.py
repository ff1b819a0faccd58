"""``jobrunner capacity``: how many attempts a pool runs at once."""

from __future__ import annotations

from typing import Any

import click

from runner.cli.options import home_option


class _Slots(click.ParamType[int]):
    """A number, or ``auto``."""

    name = "slots"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Give the number; -1 for ``auto``."""
        if value == "auto":
            return -1
        if not str(value).isdecimal():
            self.fail(f"{value!r} is neither a number of slots nor `auto`.", param, ctx)
        return int(value)


@click.command()
@home_option
@click.argument("pool")
@click.argument("slots", metavar="N|auto", type=_Slots())
def capacity(home_folder: str | None, pool: str, slots: int) -> None:
    """Let POOL run N attempts at once, from now on; auto: as many as its workers offer.

    Workers follow within a second. With fewer slots than before nothing is stopped: attempts that
    run are waited for.
    """
    from webapp import migrate, pools
    from webapp.admission import admit
    from webapp.cli.home import use_home
    from webapp.models import Pool
    from webapp.queue import CAPACITY
    from webapp.service import Service

    use_home(home_folder)
    service = Service.open()
    migrate.check(service.db)
    wanted = None if slots < 0 else slots
    with service.db.write() as session:
        before = session.get(Pool, pool) or Pool()
        found = pools.set_capacity(session, pool, wanted, cores=before.cores, mem_mb=before.mem_mb)
        workers = pools.living(session, service.settings, found.name)
        offered = sum(worker.slots for worker in workers)
    service.queue.publish(CAPACITY)
    admit(service)
    number = f"{offered} (what its workers offer)" if wanted is None else str(wanted)
    click.echo(f"Pool {pool}: {number} slots, on {len(workers)} living workers.")


if __name__ == "__main__":
    capacity()
