"""``jobrunner capacity``: how much a pool runs at once."""

from __future__ import annotations

from typing import Any

import click

from runner.cli.options import home_option


class _Amount(click.ParamType[int]):
    """A number, or ``auto``.

    Parameters
    ----------
    least : int
        The smallest that is taken.
    """

    name = "amount"

    def __init__(self, least: int = 1) -> None:
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Give the number; -1 for ``auto``."""
        if value == "auto":
            return -1
        if not str(value).isdecimal() or int(value) < self.least:
            self.fail(f"{value!r} is neither a number from {self.least} nor `auto`.", param, ctx)
        return int(value)


@click.command()
@home_option
@click.argument("pool")
@click.argument("slots", metavar="[N|auto]", type=_Amount(0), required=False)
@click.option("--cores", metavar="N|auto", type=_Amount(), help="Cores of all its hosts.")
@click.option("--mem", "mem_mb", metavar="MB|auto", type=_Amount(), help="Memory of all its hosts.")
def capacity(home_folder: str | None, pool: str, **given: int | None) -> None:
    """Let POOL run N attempts at once, from now on; auto: as many as its workers offer.

    Workers follow within a second. With less than before nothing is stopped: attempts that run are
    waited for; 0 drains the pool. What is not given stays as it is; with nothing it is only shown.
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
    wanted = {name: value for name, value in given.items() if value is not None}
    with service.db.write() as session:
        before = session.get(Pool, pool) or Pool()
        stays = {"slots": before.capacity, "cores": before.cores, "mem_mb": before.mem_mb}
        new = {**stays, **{name: None if n < 0 else n for name, n in wanted.items()}}
        pools.set_capacity(session, pool, new["slots"], cores=new["cores"], mem_mb=new["mem_mb"])
        session.flush()
        room = pools.room(session, service.settings)[pool]
    if wanted:
        service.queue.publish(CAPACITY)
        admit(service)
    click.echo(_told(room))


def _told(room: Any) -> str:
    """Say what a pool has, and what of that somebody has set."""
    offered = " (what its workers offer)"
    slots = f"{room.offered}{offered}" if room.capacity is None else str(room.capacity)
    cores = f"{room.cores}{offered}" if room.cores_set is None else str(room.cores_set)
    memory = f"{room.mem_mb} MB{offered}" if room.mem_mb_set is None else f"{room.mem_mb_set} MB"
    return (
        f"Pool {room.name}: {slots} slots, on {room.workers} living workers; "
        f"cores: {cores}; memory: {memory}.\n"
        f"Used: {room.used_slots} slots, {room.used_cores} cores, {room.used_mem_mb} MB."
    )


if __name__ == "__main__":
    capacity()
