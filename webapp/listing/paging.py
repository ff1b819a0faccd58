"""Pages of a list.

The plan of a page is chosen here rather than left to the database, so that it stays fast with a
million jobs. If one of the conditions leaves few jobs (no more than `FEW` entries of its index are
looked at to know), these are filtered and sorted. Otherwise an index is walked in the order of the
list until the page is full: there are many jobs of each kind, so that this is soon.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, union_all
from sqlalchemy.orm import Session

from webapp.db import Database
from webapp.listing.filters import Filters
from webapp.listing.order import Mark, Order
from webapp.models import Job, JobWord

FEW = 1000
_MOST_BRANCHES = 24
_EXPORTED = 500  # jobs that an export holds in memory at once


@dataclass(frozen=True)
class Page:
    """Some jobs of a list, and the cursor for more (None: there are no more)."""

    jobs: Sequence[Job]
    next: str | None


def page(
    session: Session, filters: Filters, order: Order, limit: int, cursor: str | None = None
) -> Page:
    """Give a page of the list.

    Raises
    ------
    InvalidRequest
        If the cursor is wrong.
    """
    mark = order.mark(cursor)
    if filters.instances == ():
        return Page([], None)
    query = _joined(_branches(session, filters, order, mark), order, limit + 1)
    jobs = list(session.scalars(query))
    more = len(jobs) > limit
    return Page(jobs[:limit], order.cursor(jobs[limit - 1]) if more else None)


def every(db: Database, filters: Filters, order: Order, cursor: str | None = None) -> Iterator[Job]:
    """Give all jobs of the list one by one; few are in memory at a time.

    No transaction is held meanwhile: a job that moves in the order while it is read (by being
    started, if it is sorted by that) may come twice or not at all. By ``submitted`` none moves.
    """
    order.mark(cursor)
    while True:
        with db.read() as session:
            found = page(session, filters, order, _EXPORTED, cursor)
        yield from found.jobs
        if found.next is None:
            return
        cursor = found.next


def few(session: Session, filters: Filters) -> list[str] | None:
    """Give the ids of all jobs that fulfil one of the conditions, if those are few."""
    known: dict[Filters, list[str] | None] = session.info.setdefault("few", {})
    if filters not in known:  # a page and its counts often ask the same
        known[filters] = _few(session, _probes(filters))
    return known[filters]


def _few(session: Session, probes: Iterable[Select[tuple[str]]]) -> list[str] | None:
    for probe in probes:
        some = probe.limit(FEW + 1).subquery()
        # counted first: to fetch a thousand ids in vain takes longer than a page
        if (session.scalar(select(func.count()).select_from(some)) or 0) <= FEW:
            return list(dict.fromkeys(session.scalars(probe)))
    return None


def _probes(filters: Filters) -> Iterator[Select[tuple[str]]]:
    """Give a query for each condition that an index answers, the likely small ones first."""
    for word in filters.words:
        yield select(JobWord.job_id).where(word.on_words())
    pins = filters.pins()
    for columns in _groups(pins):
        yield select(Job.id).where(*(getattr(Job, name).in_(pins[name]) for name in columns))
    if in_range := filters.id_range():
        yield select(Job.id).where(*in_range)


def _groups(pins: Mapping[str, object]) -> list[list[str]]:
    """Give the columns with conditions, those together that are together in an index."""
    groups = [["parent"], ["user", "status"], ["version"]]
    found = [[name for name in group if name in pins] for group in groups if group[0] in pins]
    place = [name for name in ("instance", "type", "status") if name in pins]
    if place and not (place == ["status"] and "user" in pins):
        found.append(place)
    return found


def _branches(
    session: Session, filters: Filters, order: Order, mark: Mark | None
) -> list[Select[Any]]:
    """Give the queries that have the page among their first jobs."""
    choice = filters.text is not None or order.key is not None or len(list(_probes(filters))) > 1
    ids = few(session, filters) if choice else None
    if ids is not None:
        conditions = [Job.id.in_(ids), *filters.conditions()]
        return [_walk(order, *conditions, *behind) for behind in order.behind(mark)]
    if filters.tag is not None and order.key is None:
        return [_walk_tag(filters, order, mark)]
    return [
        _walk(order, *single.conditions(_walked(single, order)), *single.id_range(), *behind)
        for single in _split(filters)
        for behind in order.behind(mark)
    ]


def _walk(order: Order, *conditions: ColumnElement[bool]) -> Select[Any]:
    columns = [] if order.key is None else [order.key.label("key")]
    query = select(*columns, Job.id.label("id")).where(*conditions)
    return query.order_by(*order.clauses(*([] if order.key is None else [order.key]), Job.id))


def _walk_tag(filters: Filters, order: Order, mark: Mark | None) -> Select[Any]:
    """Walk the jobs of a tag: its words lie in the order of ids."""
    tag, identifier = filters.words[0], JobWord.job_id
    query = select(identifier.label("id")).where(tag.on_words(), *filters.id_range(identifier))
    query = query.where(*order.behind(mark, identifier)[0])
    if conditions := list(filters.conditions(without=tag)):
        query = query.join(Job, Job.id == identifier).where(*conditions)
    return query.order_by(*order.clauses(identifier))


def _walked(filters: Filters, order: Order) -> list[str]:
    """Give the columns whose index has the jobs in the order of the list."""
    pins = {name for name, values in filters.pins().items() if len(values) == 1}
    if order.key is not None:
        return ["instance"] if order.by == "finished" and "instance" in pins else []
    return next(iter(_groups(dict.fromkeys(pins))), [])


def _split(filters: Filters) -> list[Filters]:
    """Give filters of one instance and one status each: in an index they lie in order."""
    instances: Sequence[str | None] = (None,) if filters.instances is None else filters.instances
    statuses: Sequence[str | None] = tuple(dict.fromkeys(filters.status)) or (None,)
    if len(instances) * len(statuses) > _MOST_BRANCHES:
        return [filters]
    return [
        replace(filters, instance=instance, status=(status,) if status else ())
        for instance, status in product(instances, statuses)
    ]


def _joined(branches: Sequence[Select[Any]], order: Order, limit: int) -> Select[tuple[Job]]:
    """Merge what the branches have in order, and add the rows."""
    parts = [select(branch.limit(limit).subquery()) for branch in branches]  # for SQLite
    found = (union_all(*parts) if len(parts) > 1 else parts[0]).subquery()
    clauses = order.clauses(*found.c)
    return select(Job).join(found, Job.id == found.c.id).order_by(*clauses).limit(limit)
