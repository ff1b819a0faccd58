"""Pools and their workers: who is alive, how much room there is, what is paused."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session, load_only

from runner import __version__
from runner.errors import NotFound
from runner.files import now, safe_label
from webapp.models import Job, Pause, Pool, Worker
from webapp.pool_room import Offer, PoolRoom, most, of_one
from webapp.settings import Settings

Kind = Literal["service", "instance", "pool"]
_ALL = "all"
_AMOUNTS = (load_only(Job.pool, Job.claimed_by, Job.cores, Job.mem_mb),)


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
    admitted = select(Job).where(Job.admitted.is_not(None)).options(*_AMOUNTS)
    # what no worker has taken yet comes last: it goes where there is room
    for job in session.scalars(admitted.order_by(Job.claimed_by.is_(None), Job.id)):
        rooms.setdefault(job.pool, PoolRoom(job.pool)).take(job, job.claimed_by)
    return rooms


def has_place(session: Session, settings: Settings, job: Job, worker_id: str) -> bool:
    """Tell whether a job fits beside what a worker's host runs, where there is another one.

    Admission has seen that it fits somewhere; which host takes the wake-up, nobody knows before.
    """
    pool = session.get(Pool, job.pool)
    room = _room(pool, living(session, settings, job.pool)) if pool else PoolRoom(job.pool)
    offer = room.of_worker(worker_id)
    if offer is None or room.workers == 1:
        return True
    claimed = select(Job).where(Job.pool == job.pool, Job.claimed_by.is_not(None))
    for other in session.scalars(claimed.options(*_AMOUNTS)):
        room.take(other, other.claimed_by)
    return offer.has_free(job)


def seconds_ago(seconds: float) -> str:
    """Give the time `seconds` ago as our tables write it."""
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _room(pool: Pool, workers: Sequence[Worker]) -> PoolRoom:
    cores, mem_mb = [w.cores for w in workers], [w.mem_mb for w in workers]
    room = PoolRoom(
        pool.name,
        capacity=pool.capacity,
        cores_set=pool.cores,
        mem_mb_set=pool.mem_mb,
        one_cores=most(pool.cores, cores),
        one_mem_mb=most(pool.mem_mb, mem_mb),
    )
    if workers:
        room.offered = sum(w.slots for w in workers)
        room.slots = _set_or(pool.capacity, room.offered)
        room.cores = _set_or(pool.cores, sum(cores))
        room.mem_mb = _set_or(pool.mem_mb, sum(mem_mb))
    for w in workers:
        slots = share(pool.capacity, workers, w)
        own = of_one(pool.cores, cores, w.cores), of_one(pool.mem_mb, mem_mb, w.mem_mb)
        room.offers.append(Offer(w.id, w.host, slots, *own))
    return room


def _set_or(chosen: int | None, offered: int) -> int:
    return offered if chosen is None else chosen
