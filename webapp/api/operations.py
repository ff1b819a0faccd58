"""Queue, pools, workers and instances: looking, setting limits, pausing."""

from __future__ import annotations

import logging
from typing import Any

from apiflask import APIBlueprint
from sqlalchemy import select
from sqlalchemy.orm import Session

from runner.errors import NotFound
from webapp import admission, pools
from webapp.api import auth, overview
from webapp.api.schemas_operations import (
    CapacityIn,
    InstancesOut,
    PausedOut,
    PoolOut,
    PoolsOut,
    QueueIn,
    QueueOut,
    WorkerOut,
    WorkersOut,
)
from webapp.models import Pool, Worker
from webapp.pools import Kind

CHANNEL = "jobrunner:capacity"  # those who hold slots look again when they hear of it
blueprint = APIBlueprint("operations", __name__)
_log = logging.getLogger(__name__)


@blueprint.get("/queue")
@blueprint.input(QueueIn, location="query", arg_name="query")
@blueprint.output(QueueOut)
def queue(query: QueueIn) -> QueueOut:
    """Show the queue.

    How much waits and runs, per pool and per instance, and the first jobs that wait, each with
    its place in the queue and why it waits. Only what the token has a right to is counted.
    """
    auth.require("viewer")
    with auth.service().db.read() as session:
        return overview.queue(session, auth.service(), auth.visible_instances(), query.limit)


@blueprint.get("/pools")
@blueprint.output(PoolsOut)
def list_pools() -> PoolsOut:
    """List the pools: what each has, and what is used of it."""
    auth.require("viewer")
    with auth.service().db.read() as session:
        return PoolsOut(pools=overview.pools(session, auth.service().settings))


@blueprint.get("/workers")
@blueprint.output(WorkersOut)
def list_workers() -> WorkersOut:
    """List the workers.

    Those that were not heard of lately have ``alive`` false: none of their slots count.
    """
    auth.require("operator")
    with auth.service().db.read() as session:
        lately = pools.seconds_ago(auth.service().settings.worker_lost_after)
        rows = session.scalars(select(Worker).order_by(Worker.pool, Worker.started, Worker.id))
        return WorkersOut(workers=[_worker(row, lately) for row in rows])


@blueprint.get("/instances")
@blueprint.output(InstancesOut)
def list_instances() -> InstancesOut:
    """List the instances that the token has a right to."""
    identity = auth.require("viewer")
    service = auth.service()
    with service.db.read() as session:
        found = overview.instances(session, service, auth.visible_instances())
    problems = [*service.instances.problems, *service.issuers.problems]
    return InstancesOut(instances=found, problems=problems if identity.has_role("admin") else [])


@blueprint.put("/pools/<pool>/capacity")
@blueprint.input(CapacityIn, arg_name="wanted")
@blueprint.output(PoolOut)
def set_capacity(pool: str, wanted: CapacityIn) -> PoolOut:
    """Set what a pool has.

    More slots are used at once. Fewer: the pool drains, nothing that runs is stopped. Null gives
    the decision back to the workers.
    """
    identity = auth.require("admin")
    service = auth.service()
    with service.db.write() as session:
        pools.set_capacity(session, pool, wanted.slots, cores=wanted.cores, mem_mb=wanted.mem_mb)
    _log.info("capacity of pool %s: %s, by %s", pool, wanted.model_dump(), identity.user)
    _look_again()
    with service.db.read() as session:
        return next(p for p in overview.pools(session, service.settings) if p.name == pool)


@blueprint.post("/pools/<pool>/pause")
@blueprint.output(PausedOut)
def pause_pool(pool: str) -> PausedOut:
    """Start nothing more in a pool; what runs goes on."""
    return _pause("pool", pool, auth.require("admin").user)


@blueprint.post("/pools/<pool>/resume")
@blueprint.output(PausedOut)
def resume_pool(pool: str) -> PausedOut:
    """Let jobs start in a pool again."""
    return _resume("pool", pool, auth.require("admin").user)


@blueprint.post("/instances/<instance>/pause")
@blueprint.output(PausedOut)
def pause_instance(instance: str) -> PausedOut:
    """Start nothing more of an instance; what runs goes on."""
    return _pause("instance", instance, auth.require("operator", instance=instance).user)


@blueprint.post("/instances/<instance>/resume")
@blueprint.output(PausedOut)
def resume_instance(instance: str) -> PausedOut:
    """Let jobs of an instance start again."""
    return _resume("instance", instance, auth.require("operator", instance=instance).user)


@blueprint.post("/queue/pause")
@blueprint.output(PausedOut)
def pause_service() -> PausedOut:
    """Start nothing more at all; what runs goes on, and jobs are still taken."""
    return _pause("service", "all", auth.require("admin").user)


@blueprint.post("/queue/resume")
@blueprint.output(PausedOut)
def resume_service() -> PausedOut:
    """Let jobs start again."""
    return _resume("service", "all", auth.require("admin").user)


def _pause(kind: Kind, name: str, by: str) -> PausedOut:
    with auth.service().db.write() as session:
        _must_exist(session, kind, name)
        pools.pause(session, kind, name, by)
    _log.info("%s %s paused by %s", kind, name, by)
    return _changed(kind, name)


def _resume(kind: Kind, name: str, by: str) -> PausedOut:
    with auth.service().db.write() as session:
        _must_exist(session, kind, name)
        pools.resume(session, kind, name)
    _log.info("%s %s resumed by %s", kind, name, by)
    return _changed(kind, name)


def _changed(kind: Kind, name: str) -> PausedOut:
    _look_again()
    with auth.service().db.read() as session:
        found = pools.pauses(session).get((kind, name))
        return PausedOut(kind=kind, name=name, paused=overview.pause(found))


def _must_exist(session: Session, kind: Kind, name: str) -> None:
    if kind == "instance":
        auth.service().instances.get(name)
    elif kind == "pool" and session.get(Pool, name) is None:
        raise NotFound(f"There is no pool {name!r}: GET /pools lists them.")


def _look_again() -> None:
    """Admit what may start now, and let workers look at their share."""
    admission.admit(auth.service())
    auth.service().queue.publish(CHANNEL)


def _worker(row: Worker, lately: str) -> WorkerOut:
    columns: dict[str, Any] = {
        name: getattr(row, name) for name in WorkerOut.model_fields if name != "alive"
    }
    return WorkerOut(**columns, alive=row.heartbeat >= lately)
