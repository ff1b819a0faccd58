"""Pools and their workers: who is alive, how much room there is, what is paused."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from runner import __version__
from runner.errors import NotFound
from runner.files import now, safe_label
from runner.resources import told
from webapp.models import Job, Pause, Pool, Worker
from webapp.settings import Settings

Kind = Literal["service", "instance", "pool"]
_ALL = "all"


class Takes(Protocol):
    """What takes cores and memory: a job, or what one will need."""

    @property
    def cores(self) -> int:
        """Cores; 0 of one whose work is done elsewhere."""

    @property
    def mem_mb(self) -> int:
        """Memory in MB."""


@dataclass
class PoolRoom:
    """What a pool has, and what admitted jobs use of it.

    Attributes
    ----------
    slots, cores : int
        What there is.
    mem_mb : int
        Memory in MB.
    offered : int
        Slots that its living workers offer, whatever is set.
    workers : int
        Living worker processes.
    one_cores, one_mem_mb : int or None
        The most that one job can have: an attempt runs on one host. None: nothing is known.
    """

    name: str
    slots: int = 0
    cores: int = 0
    mem_mb: int = 0
    offered: int = 0
    used_slots: int = 0
    used_cores: int = 0
    used_mem_mb: int = 0
    workers: int = 0
    capacity: int | None = None
    cores_set: int | None = None
    mem_mb_set: int | None = None
    one_cores: int | None = None
    one_mem_mb: int | None = None
    paused: bool = False

    @property
    def mem_bytes(self) -> int:
        """Memory in bytes."""
        return self.mem_mb * 2**20

    @property
    def used_mem_bytes(self) -> int:
        """Memory that admitted jobs were given, in bytes."""
        return self.used_mem_mb * 2**20

    def can_hold(self, job: Takes) -> bool:
        """Tell whether the job would fit into the empty pool, as far as that is known."""
        return not self.lacks(job)

    def lacks(self, job: Takes) -> list[str]:
        """Give of what the pool has too little for the job, as far as that is known."""
        most = {"cores": self.one_cores, "mem_mb": self.one_mem_mb}
        return [name for name, n in most.items() if n is not None and getattr(job, name) > n]

    def told(self) -> str:
        """Say for people what one job can have of the pool, as far as that is known."""
        most = {"cores": self.one_cores, "mem_mb": self.one_mem_mb}
        return " and ".join(told(name, n) for name, n in most.items() if n is not None)

    def fits(self, job: Takes) -> bool:
        """Tell whether the job fits beside what is running."""
        return (
            self.used_cores + job.cores <= self.cores
            and self.used_mem_mb + job.mem_mb <= self.mem_mb
        )

    def take(self, job: Takes) -> None:
        """Count the job as running here."""
        self.used_slots += 1
        self.used_cores += job.cores
        self.used_mem_mb += job.mem_mb


def register(session: Session, *, pool: str, slots: int, cores: int, mem_mb: int) -> Worker:
    """Note down a worker process (this one) that offers `slots` to `pool`."""
    ensure(session, pool)
    host, pid = socket.gethostname(), os.getpid()
    worker = Worker(
        id=f"{host}-{pid}-{secrets.token_hex(4)}",
        pool=pool,
        host=host,
        pid=pid,
        slots=slots,
        cores=cores,
        mem_mb=mem_mb,
        version=__version__,
        state="running",
        started=now(),
        heartbeat=now(),
    )
    session.add(worker)
    session.flush()
    return worker


def ensure(session: Session, name: str) -> None:
    """Have a pool of that name; its capacity can be set before it has a worker."""
    safe_label(name, "Pool")
    if session.get(Pool, name) is None:
        session.add(Pool(name=name))
        session.flush()


def beat(session: Session, worker_id: str, state: str = "running") -> Worker | None:
    """Note that a worker lives; `state` is ``running`` or ``draining``.

    Returns
    -------
    Worker or None
        None if it is not registered (any more): register again.
    """
    worker = session.get(Worker, worker_id)
    if worker is not None:
        worker.heartbeat, worker.state = now(), state
    return worker


def leave(session: Session, worker_id: str) -> None:
    """Strike a worker off the list."""
    if worker := session.get(Worker, worker_id):
        session.delete(worker)


def living(session: Session, settings: Settings, pool: str | None = None) -> list[Worker]:
    """Give the workers that were heard of lately and take jobs, oldest first."""
    query = select(Worker).where(
        Worker.heartbeat >= seconds_ago(settings.worker_lost_after), Worker.state == "running"
    )
    if pool is not None:
        query = query.where(Worker.pool == pool)
    return list(session.scalars(query.order_by(Worker.started, Worker.id)))


def share(capacity: int | None, workers: Sequence[Worker], me: Worker) -> int:
    """Give how many slots this worker may use now.

    Parameters
    ----------
    capacity : int or None
        Slots set for the whole pool; None: each worker uses what it offers.
    workers : sequence of Worker
        The living workers of the pool, in the same order for all.
    me : Worker
        One of them.
    """
    if capacity is None:
        return me.slots
    ids = [worker.id for worker in workers]
    if me.id not in ids:
        return 0
    each, rest = divmod(capacity, len(ids))
    return each + (ids.index(me.id) < rest)


def set_capacity(
    session: Session,
    name: str,
    slots: int | None,
    *,
    cores: int | None = None,
    mem_mb: int | None = None,
) -> Pool:
    """Set what a pool has; None: what its workers offer.

    Raises
    ------
    NotFound
        If there is no such pool.
    """
    pool = session.get(Pool, name)
    if pool is None:
        known = ", ".join(session.scalars(select(Pool.name).order_by(Pool.name))) or "none yet"
        raise NotFound(
            f"There is no pool {name!r}: {known}. A pool is there once a worker of it was started."
        )
    pool.capacity, pool.cores, pool.mem_mb = slots, cores, mem_mb
    return pool


def pause(session: Session, kind: Kind, name: str, by: str) -> None:
    """Let nothing more start of an instance, in a pool, or (``service``) at all."""
    if session.get(Pause, (kind, name)) is None:
        session.add(Pause(kind=kind, name=name, by=by, since=now()))


def resume(session: Session, kind: Kind, name: str) -> None:
    """Take a pause back."""
    if found := session.get(Pause, (kind, name)):
        session.delete(found)


def pauses(session: Session) -> dict[tuple[str, str], Pause]:
    """Give what is paused by kind and name; the service is ``("service", "all")``."""
    return {(found.kind, found.name): found for found in session.scalars(select(Pause))}


def service_is_paused(found: dict[tuple[str, str], Pause]) -> bool:
    """Tell whether nothing at all may start."""
    return ("service", _ALL) in found


def room(session: Session, settings: Settings) -> dict[str, PoolRoom]:
    """Give what each pool has and uses, from the workers alive and the jobs admitted."""
    paused = pauses(session)
    rooms = {}
    for pool in session.scalars(select(Pool).order_by(Pool.name)):
        workers = living(session, settings, pool.name)
        rooms[pool.name] = _room(pool, workers)
        rooms[pool.name].paused = ("pool", pool.name) in paused
    used = select(Job.pool, func.count(), func.sum(Job.cores), func.sum(Job.mem_mb))
    for name, number, cores, mem_mb in session.execute(
        used.where(Job.admitted.is_not(None)).group_by(Job.pool)
    ):
        found = rooms.setdefault(name, PoolRoom(name))
        found.used_slots, found.used_cores, found.used_mem_mb = number, int(cores), int(mem_mb)
    return rooms


def seconds_ago(seconds: float) -> str:
    """Give the time `seconds` ago as our tables write it."""
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _room(pool: Pool, workers: Sequence[Worker]) -> PoolRoom:
    room = PoolRoom(
        pool.name,
        workers=len(workers),
        capacity=pool.capacity,
        cores_set=pool.cores,
        mem_mb_set=pool.mem_mb,
        one_cores=_most(pool.cores, [w.cores for w in workers]),
        one_mem_mb=_most(pool.mem_mb, [w.mem_mb for w in workers]),
    )
    if workers:
        room.offered = sum(w.slots for w in workers)
        room.slots = _set_or(pool.capacity, room.offered)
        room.cores = _set_or(pool.cores, sum(w.cores for w in workers))
        room.mem_mb = _set_or(pool.mem_mb, sum(w.mem_mb for w in workers))
    return room


def _most(chosen: int | None, offers: Sequence[int]) -> int | None:
    """Give what one job can have: of the largest host, within what was set for all of them.

    Who sets more than the hosts offer knows better than they do.
    """
    if not offers or (chosen is not None and chosen > sum(offers)):
        return chosen
    return min(max(offers), _set_or(chosen, max(offers)))


def _set_or(chosen: int | None, offered: int) -> int:
    return offered if chosen is None else chosen
