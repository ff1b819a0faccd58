"""What waits, what runs, on what: read from the rows that are kept small for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from prometheus_client.core import Metric
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp import pools as store
from webapp.metrics.families import gauge
from webapp.models import INCIDENT_KINDS, Delivery, Incident, Job, JobCount, Worker, is_whole
from webapp.pool_room import PoolRoom
from webapp.service import Service
from webapp.tally import INSTANCE

_PLACE = ("pool", INSTANCE)
_DAY = 24 * 3600.0
_DELIVERIES = ("email", "webhook")


def rooms(session: Session, service: Service) -> dict[str, PoolRoom]:
    """Give the pools by name."""
    return dict(sorted(store.room(session, service.settings).items()))


def jobs(session: Session) -> Iterator[Metric]:
    """Give how many jobs there are, wait and run."""
    key = (JobCount.instance, JobCount.type, JobCount.status)
    counted = session.execute(select(*key, JobCount.number).order_by(*key)).all()
    there = [((instance, kind, status), number) for instance, kind, status, number in counted]
    yield gauge("jobs", "Jobs that there are.", there, [INSTANCE, "type", "status"])
    since = func.min(func.coalesce(Job.queued, Job.submitted))
    waits = select(Job.pool, Job.instance, func.count(), since)
    waits = waits.where(Job.status == "queued", Job.admitted.is_(None), is_whole())
    found = session.execute(waits.group_by(Job.pool, Job.instance)).all()
    waiting = [((pool, instance), number) for pool, instance, number, _ in found]
    yield gauge("jobs_waiting", "Jobs that wait for a slot.", waiting, _PLACE)
    ages = [((pool, instance), _age(oldest)) for pool, instance, _, oldest in found]
    text = "How long the job has waited that has waited longest."
    yield gauge("jobs_waiting_oldest_age_seconds", text, ages, _PLACE)
    runs = select(Job.pool, Job.instance, func.count()).where(Job.admitted.is_not(None))
    running = session.execute(runs.group_by(Job.pool, Job.instance)).all()
    values = [((pool, instance), number) for pool, instance, number in running]
    yield gauge("jobs_running", "Jobs that have a slot.", values, _PLACE)


def pools(rooms: Mapping[str, PoolRoom]) -> Iterator[Metric]:
    """Give what pools have, and what is used of it."""
    for name, text, attribute in (
        ("slots_offered", "Slots that living workers offer.", "offered"),
        ("slots_capacity", "Slots that may be used: what was set, else what is offered.", "slots"),
        ("slots_used", "Slots that jobs have.", "used_slots"),
        ("pool_cores", "Cores that jobs may use: what was set, else what is offered.", "cores"),
        ("pool_cores_used", "Cores that jobs were given.", "used_cores"),
        ("pool_memory_bytes", "Memory that jobs may use; as for cores.", "mem_bytes"),
        ("pool_memory_used_bytes", "Memory that jobs were given.", "used_mem_bytes"),
        ("workers", "Worker processes that live.", "workers"),
        ("pool_paused", "1 if nothing starts in the pool.", "paused"),
    ):
        values = [((pool,), float(getattr(room, attribute))) for pool, room in rooms.items()]
        yield gauge(name, text, values, ["pool"])


def workers(session: Session) -> Iterator[Metric]:
    """Give how long ago workers were heard of."""
    query = select(Worker.id, Worker.host, Worker.pool, Worker.heartbeat).order_by(Worker.id)
    ages = [
        ((worker, host, pool), _age(heartbeat))
        for worker, host, pool, heartbeat in session.execute(query)
    ]
    text = "How long ago a worker gave its last sign of life; one that signs off is left out."
    labels = ["worker", "host", "pool"]
    yield gauge("worker_heartbeat_age_seconds", text, ages, labels)


def pauses(session: Session, service: Service) -> Iterator[Metric]:
    """Give what is paused, beside pools."""
    found = store.pauses(session)
    paused = store.service_is_paused(found)
    yield gauge("service_paused", "1 if nothing starts at all.", [((), paused)])
    values = [
        ((name,), float(("instance", name) in found)) for name in sorted(service.instances.all())
    ]
    yield gauge("instance_paused", "1 if no job of the instance starts.", values, [INSTANCE])


def notices(session: Session) -> Iterator[Metric]:
    """Give what the outbox has, and what operators were told of."""
    waits = select(Delivery.kind, func.count(), func.min(Delivery.created))
    waits = waits.where(Delivery.state == "waiting").group_by(Delivery.kind)
    found = {kind: (number, oldest) for kind, number, oldest in session.execute(waits)}
    kinds = sorted({*_DELIVERIES, *found})
    values = [((kind,), found.get(kind, (0, None))[0]) for kind in kinds]
    yield gauge("deliveries_waiting", "Mails and webhooks that wait.", values, ["kind"])
    ages = [((kind,), _age(found.get(kind, (0, None))[1])) for kind in kinds]
    text = "How long the one has waited that has waited longest."
    yield gauge("deliveries_waiting_oldest_age_seconds", text, ages, ["kind"])
    lost = select(Delivery.kind, func.count()).where(
        Delivery.finished > store.seconds_ago(_DAY), Delivery.state == "given_up"
    )
    given_up = dict(session.execute(lost.group_by(Delivery.kind)).tuples().all())
    values = [((kind,), given_up.get(kind, 0)) for kind in sorted({*kinds, *given_up})]
    text = "Mails and webhooks that were given up in the last 24 hours."
    yield gauge("deliveries_given_up", text, values, ["kind"])
    query = select(Incident.kind, func.count()).where(Incident.ended.is_(None))
    is_open = dict(session.execute(query.group_by(Incident.kind)).tuples().all())
    values = [((kind,), is_open.get(kind, 0)) for kind in sorted({*INCIDENT_KINDS, *is_open})]
    yield gauge("incidents_open", "Incidents that have not ended.", values, ["kind"])


def _age(since: str | None) -> float:
    if since is None:
        return 0.0
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())
