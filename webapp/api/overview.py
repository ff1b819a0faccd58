"""The queue, pools and instances as answers of the API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from runner.launch import ProcessingRequest
from webapp import admission
from webapp import pools as store
from webapp.api.schemas import WaitingOut
from webapp.api.schemas_operations import (
    InstanceOut,
    PauseOut,
    PoolOut,
    ProcessingOut,
    QueuedOut,
    QueueOfInstance,
    QueueOfPool,
    QueueOut,
    TypeRuleOut,
)
from webapp.instances import TypeRule
from webapp.models import Job, JobCount, Pause, is_whole
from webapp.service import Service
from webapp.settings import Settings

Visible = Sequence[str] | None  # names of instances; None: all
_WAITS = (Job.status == "queued") & Job.admitted.is_(None) & is_whole()


def queue(session: Session, service: Service, visible: Visible, limit: int) -> QueueOut:
    """Give how much waits and runs, and the first `limit` jobs that wait."""
    paused = store.pauses(session)
    waiting = _grouped(session, visible, _WAITS)
    running = _grouped(session, visible, Job.admitted.is_not(None))
    rooms = store.room(session, service.settings)
    names = sorted(_names(service, visible) | {i for _, i in {*waiting, *running}})
    return QueueOut(
        paused=pause(paused.get(("service", "all"))),
        pools=[
            QueueOfPool(
                pool=name,
                slots=rooms[name].slots if name in rooms else 0,
                paused=pause(paused.get(("pool", name))),
                **_sums(waiting, running, 0, name),
            )
            for name in sorted({*rooms, *(pool for pool, _ in waiting)})
        ],
        instances=[
            QueueOfInstance(
                instance=name,
                limit=_limit(service, name),
                paused=pause(paused.get(("instance", name))),
                **_sums(waiting, running, 1, name),
            )
            for name in names
        ],
        waiting=_first(session, service, visible, limit),
    )


def pools(session: Session, settings: Settings) -> list[PoolOut]:
    """Give the pools with what is used of them."""
    paused = store.pauses(session)
    found = []
    for name, room in sorted(store.room(session, settings).items()):
        columns = {key: getattr(room, key) for key in PoolOut.model_fields if key != "paused"}
        found.append(PoolOut(**columns, paused=pause(paused.get(("pool", name)))))
    return found


def instances(session: Session, service: Service, visible: Visible) -> list[InstanceOut]:
    """Give the instances with the number of their jobs by status."""
    paused = store.pauses(session)
    counts: dict[str, dict[str, int]] = {}
    query = select(JobCount.instance, JobCount.status, func.sum(JobCount.number))
    for name, status, number in session.execute(query.group_by(JobCount.instance, JobCount.status)):
        counts.setdefault(name, {})[status] = int(number)
    found = service.instances.all()
    return [
        InstanceOut(
            name=name,
            title=found[name].title,
            profile=found[name].profile,
            types=_types(found[name].types),
            running=found[name].running,
            max_priority=found[name].max_priority,
            limits=dict(found[name].limits),
            paused=pause(paused.get(("instance", name))),
            counts=counts.get(name, {}),
        )
        for name in sorted(_names(service, visible))
    ]


def pause(found: Pause | None) -> PauseOut | None:
    """Give a pause as an answer shows it."""
    return None if found is None else PauseOut(by=found.by, since=found.since)


_Groups = dict[tuple[str, str], tuple[int, str]]


def _grouped(session: Session, visible: Visible, condition: Any) -> _Groups:
    """Give number and oldest submission by pool and instance."""
    query = select(Job.pool, Job.instance, func.count(), func.min(Job.submitted))
    query = _seen(query.where(condition), visible).group_by(Job.pool, Job.instance)
    return {(pool, name): (number, oldest) for pool, name, number, oldest in session.execute(query)}


def _sums(waiting: _Groups, running: _Groups, part: int, name: str) -> dict[str, Any]:
    """Sum up what is of one pool (`part` 0) or instance (1)."""
    waits = [value for key, value in waiting.items() if key[part] == name]
    runs = [value for key, value in running.items() if key[part] == name]
    return {
        "waiting": sum(number for number, _ in waits),
        "running": sum(number for number, _ in runs),
        "oldest": min((oldest for _, oldest in waits), default=None),
    }


def _first(session: Session, service: Service, visible: Visible, limit: int) -> list[QueuedOut]:
    query = select(Job).where(_WAITS).order_by(Job.pool, Job.priority.desc(), Job.id).limit(limit)
    return [
        QueuedOut(
            **{key: getattr(job, key) for key in QueuedOut.model_fields if hasattr(job, key)},
            waiting=_reason(session, service, job),
            url=f"/api/v1/jobs/{job.id}",
        )
        for job in session.scalars(_seen(query, visible))
    ]


def _reason(session: Session, service: Service, job: Job) -> WaitingOut | None:
    found = admission.waiting(session, service, job)
    return None if found is None else WaitingOut.model_validate(found)


def _seen(query: Select[Any], visible: Visible) -> Select[Any]:
    return query if visible is None else query.where(Job.instance.in_(visible))


def _names(service: Service, visible: Visible) -> set[str]:
    known = set(service.instances.all())
    return known if visible is None else known & set(visible)


def _limit(service: Service, name: str) -> int | None:
    found = service.instances.all().get(name)
    return found.running if found else None


def _types(rules: Any) -> dict[str, TypeRuleOut] | None:
    return None if rules is None else {name: _rule(rule) for name, rule in rules.items()}


def _rule(rule: TypeRule) -> TypeRuleOut:
    return TypeRuleOut(
        versions=list(rule.versions) if rule.versions is not None else None,
        running=rule.running,
        limits=dict(rule.limits),
        profile=rule.profile,
        processing=_processing(rule.processing) if rule.processing else None,
    )


def _processing(wanted: ProcessingRequest) -> ProcessingOut:
    return ProcessingOut(
        repository=_without_credentials(wanted.source),
        revision=wanted.revision,
        entry=wanted.entry,
    )


def _without_credentials(address: str) -> str:
    parts = urlsplit(address)
    if not parts.scheme or "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
