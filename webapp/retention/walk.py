"""Walks through jobs of which files may go, oldest end first, going on where they stopped.

Each uses the partial index of a kind (``ix_jobs_<kind>_kept``): a job is in it as long as it has
ended and its files of that kind are there. So what has been removed costs nothing any more, and
what is kept by everybody is not looked at. Sub-jobs are left out: their files go with those of the
job that they are a part of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, load_only

from webapp.models import Job, is_whole
from webapp.models.unindexed import unindexed
from webapp.pools import seconds_ago
from webapp.retention.policies import Group, Pair, Policies
from webapp.service import Service

_PAGE = 200
_COLUMNS = (Job.id, Job.instance, Job.type, Job.digest, Job.status, Job.pinned, Job.directory,
            Job.finished, Job.parent, Job.work_removed, Job.results_removed,
            Job.logs_removed)  # fmt: skip
_START = ("", "")


class Walk:
    """Where the walks stand: each goes on there, and from the beginning once it was at the end.

    So what is kept, or cannot be removed now, never keeps others from their turn.

    Parameters
    ----------
    service : Service
        Whose jobs.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._places: dict[tuple[str, int], tuple[str, str]] = {}
        self._last: tuple[str, int] | None = None  # the walk that was last begun

    def overdue(self, policies: Policies) -> Iterator[tuple[str, Job]]:
        """Give jobs with the kind of files that their policy may keep no longer.

        Each kind and time has its walk; the one after the last that was begun comes first.
        """
        groups = policies.groups()
        order = sorted(groups)
        later = [key for key in order if self._last is None or key > self._last]
        for key in (*later, *(key for key in order if key not in later)):
            self._last = key
            kind, seconds = key
            wanted = and_(_there(kind), Job.finished <= seconds_ago(seconds), _in(groups[key]))
            for job in self._go(key, wanted):
                yield kind, job

    def with_work(self) -> Iterator[Job]:
        """Give succeeded jobs that have work files, oldest end first."""
        wanted = and_(_there("work"), unindexed(Job.status) == "succeeded")
        return self._go(("disk", 0), wanted)

    def _go(self, key: tuple[str, int], wanted: ColumnElement[bool]) -> Iterator[Job]:
        while page := self._page(wanted, self._places.get(key, _START)):
            for job in page:
                assert job.finished is not None  # as the index says
                self._places[key] = (job.finished, job.id)
                yield job
        self._places.pop(key, None)

    def _page(self, wanted: ColumnElement[bool], after: tuple[str, str]) -> list[Job]:
        query = (
            select(Job)
            .options(load_only(*_COLUMNS))
            .where(wanted, unindexed(Job.pinned).is_(False), is_whole())
            .where(tuple_(Job.finished, Job.id) > after)
            .order_by(Job.finished, Job.id)
            .limit(_PAGE)
        )
        with self._service.db.read() as session:
            return list(session.scalars(query))


def _there(kind: str) -> ColumnElement[bool]:
    """Say what the partial index says."""
    removed: InstrumentedAttribute[Any] = getattr(Job, f"{kind}_removed")
    return and_(removed.is_(None), Job.finished.is_not(None))


def _in(group: Group) -> ColumnElement[bool]:
    failed = unindexed(Job.status) == "failed"
    return or_(
        and_(failed, _among(group.failed)),
        and_(unindexed(Job.status) != "failed", _among(group.ended)),
    )


def _among(pairs: set[Pair]) -> ColumnElement[bool]:
    """Say that a job is of one of the pairs; by instance, for the lists are shorter so."""
    types: dict[str, list[str]] = {}
    for instance, type_name in sorted(pairs):
        types.setdefault(instance, []).append(type_name)
    return or_(
        false(),
        *(
            and_(unindexed(Job.instance) == instance, unindexed(Job.type).in_(names))
            for instance, names in types.items()
        ),
    )
