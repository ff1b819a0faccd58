"""Which waiting jobs may start: decided in the database, told to the queue afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Select, and_, func, not_, or_, select
from sqlalchemy.orm import Session

from runner.files import now
from webapp import pools
from webapp.instances import Instance
from webapp.models import Job, is_whole
from webapp.pool_room import PoolRoom
from webapp.service import Service


@dataclass(frozen=True)
class Waiting:
    """Where a waiting job stands, and why it waits.

    Attributes
    ----------
    position : int or None
        1 for the job that is next in its pool; None where it is not the queue that it waits for.
    code, message : str
        Why it has not started yet, for a program and for a person.
    """

    position: int | None
    code: str
    message: str


@dataclass
class _Load:
    """What is admitted now, by what the limits count."""

    instances: Counter[str] = field(default_factory=Counter)
    types: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, instance: str, type_name: str, number: int = 1) -> None:
        self.instances[instance] += number
        self.types[instance, type_name] += number


def admit(service: Service) -> int:
    """Give free slots to the jobs whose turn it is, and put them on the queue.

    By priority, then age, within each pool. No job overtakes another of its pool for want of cores
    or memory, or a large one would wait for ever; a job that can never fit holds up nobody.

    Returns
    -------
    int
        How many were admitted.
    """
    with service.db.exclusive("admission") as session:
        chosen = _choose(session, service)
    for pool, job_id, fence in chosen:
        service.queue.put(pool, job_id, fence)  # the reconciler does it again if it is lost
    return len(chosen)


def _choose(session: Session, service: Service) -> list[tuple[str, str, int]]:
    paused = pools.pauses(session)
    if pools.service_is_paused(paused):
        return []
    known = service.instances.all()
    open_instances = {n: i for n, i in known.items() if ("instance", n) not in paused}
    load = _load(session)
    return [
        (job.pool, job.id, job.fence)
        for room in pools.room(session, service.settings).values()
        if not room.paused
        for job in _fill(session, room, open_instances, load)
    ]


def _fill(
    session: Session, room: PoolRoom, instances: Mapping[str, Instance], load: _Load
) -> list[Job]:
    admitted: list[Job] = []
    while room.used_slots < room.slots:
        query = _in_order(room.name).where(
            or_(*(and_(Job.cores <= n, Job.mem_mb <= mb) for n, mb in room.shapes())),
            *_below_limits(instances, load),
        )
        job = session.scalars(query.limit(1).with_for_update(skip_locked=True)).first()
        if job is None or not room.fits(job):
            break
        job.admitted, job.claimed_by, job.fence = now(), None, job.fence + 1
        session.flush()
        room.take(job)
        load.add(job.instance, job.type)
        admitted.append(job)
    return admitted


def _in_order(pool: str) -> Select[tuple[Job]]:
    return select(Job).where(*_waiting(pool)).order_by(Job.priority.desc(), Job.id)


def _waiting(pool: str) -> tuple[ColumnElement[bool], ...]:
    return Job.pool == pool, Job.status == "queued", Job.admitted.is_(None), is_whole()


def _below_limits(instances: Mapping[str, Instance], load: _Load) -> list[ColumnElement[bool]]:
    free = [n for n, i in instances.items() if i.running is None or load.instances[n] < i.running]
    full = [
        and_(Job.instance == name, Job.type == type_name)
        for name in free
        for type_name, rule in (instances[name].types or {}).items()
        if rule.running is not None and load.types[name, type_name] >= rule.running
    ]
    return [Job.instance.in_(free), *([not_(or_(*full))] if full else [])]


def _load(session: Session) -> _Load:
    load = _Load()
    query = select(Job.instance, Job.type, func.count()).where(Job.admitted.is_not(None))
    for instance, type_name, number in session.execute(query.group_by(Job.instance, Job.type)):
        load.add(instance, type_name, number)
    return load


def waiting(session: Session, service: Service, job: Job) -> Waiting | None:
    """Tell where a job stands in the queue; None if it does not wait.

    Position counts the jobs of its pool that come before it, whether they may start or not. A
    sub-job waits with its parent, and then for what comes before it in that.
    """
    if job.status != "queued":
        return None
    if job.parent is not None:
        whole = session.get(Job, job.parent)
        text = f"It begins when what comes before it in job {job.parent} is done."
        found = waiting(session, service, whole) if whole else None
        return found or Waiting(None, "sub_jobs_before", text)
    if job.admitted is not None:
        return Waiting(1, "starting", "It has a slot and is about to start.")
    ahead = or_(Job.priority > job.priority, and_(Job.priority == job.priority, Job.id < job.id))
    query = select(func.count()).select_from(Job).where(*_waiting(job.pool), ahead)
    before = session.scalar(query) or 0
    code, message = _reason(session, service, job, before)
    return Waiting(before + 1, code, message)


def _reason(session: Session, service: Service, job: Job, before: int) -> tuple[str, str]:
    return (
        _paused(session, job)
        or _limited(session, service.instances.all().get(job.instance), job)
        or _no_room(pools.room(session, service.settings).get(job.pool), job)
        or _behind(before)
    )


def _paused(session: Session, job: Job) -> tuple[str, str] | None:
    paused = pools.pauses(session)
    if pools.service_is_paused(paused):
        return "service_paused", "The service is paused."
    if ("instance", job.instance) in paused:
        return "instance_paused", f"Instance {job.instance} is paused."
    if ("pool", job.pool) in paused:
        return "pool_paused", f"Pool {job.pool} is paused."
    return None


def _limited(session: Session, instance: Instance | None, job: Job) -> tuple[str, str] | None:
    if instance is None:
        return "instance_unknown", f"Instance {job.instance} is not configured any more."
    load = _load(session)
    running = load.instances[job.instance]
    if instance.running is not None and running >= instance.running:
        text = f"Instance {job.instance} runs {running} jobs; its limit is {instance.running}."
        return "instance_limit", text
    rule = (instance.types or {}).get(job.type)
    running = load.types[job.instance, job.type]
    if rule is not None and rule.running is not None and running >= rule.running:
        text = f"Instance {job.instance} runs {running} jobs of type {job.type}; its limit is "
        return "type_limit", f"{text}{rule.running}."
    return None


def _no_room(room: PoolRoom | None, job: Job) -> tuple[str, str] | None:
    if room is None or not room.workers:
        return "no_worker", f"No worker of pool {job.pool} is alive."
    if not room.can_hold(job):
        return "too_large", (
            f"It needs {job.cores} cores and {job.mem_mb} MB of memory; for one job pool "
            f"{room.name} has {room.told()}."
        )
    if room.used_slots >= room.slots:
        text = f"Pool {room.name} has {room.slots} slots, and {room.used_slots} are taken."
        return "no_free_slot", text
    if not room.fits(job):
        scattered = ", but on no host enough of it" if room.has_free(job) else ""
        return "no_free_resources", (
            f"It needs {job.cores} cores and {job.mem_mb} MB of memory; of pool {room.name} "
            f"{max(0, room.cores - room.used_cores)} cores and "
            f"{max(0, room.mem_mb - room.used_mem_mb)} MB are free{scattered}."
        )
    return None


def _behind(before: int) -> tuple[str, str]:
    if before:
        return "behind_others", f"{before} jobs come before it."
    return "next", "It is next, and about to start."
