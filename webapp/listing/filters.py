"""What a list is restricted to, as conditions that the database can look up one by one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, select

from runner.jobdir import id_at
from webapp.models import Job, JobWord, is_whole
from webapp.models.unindexed import unindexed
from webapp.words import words

_LAST = "\U0010ffff"  # sorts behind every character that a word may have
_SLACK = 3_600_000  # ms between the time in an id and the time of submission, at most
_MOST_WORDS = 8
_TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?", re.ASCII)
_TIMES = ("submitted", "started", "finished")


@dataclass(frozen=True)
class Word:
    """A word that a job must have: exactly `low`, or one between `low` and `high`."""

    kind: str
    low: str
    high: str | None = None

    def on_words(self) -> ColumnElement[bool]:
        """Give the condition on a row of `JobWord`."""
        if self.high is None:
            return and_(JobWord.kind == self.kind, JobWord.word == self.low)
        return and_(JobWord.kind == self.kind, JobWord.word >= self.low, JobWord.word < self.high)

    def on_jobs(self) -> ColumnElement[bool]:
        """Give the condition on a row of `Job`."""
        return exists(select(1).where(JobWord.job_id == Job.id, self.on_words()))


@dataclass(frozen=True)
class Filters:
    """What the jobs of a list have in common; None and empty stand for: all.

    Attributes
    ----------
    status : tuple of str
        One of these.
    parent : str
        They are sub-jobs of this job.
    sub_jobs : bool
        Whether there are sub-jobs among them.
    tag : str
        They have this tag.
    text : str
        They have words that begin with each of these: id, type, user, tags, names of input files,
        error code.
    submitted_after, submitted_before : str
        At or after, and before, a time as `moment` gives it; likewise started and finished.
    visible : tuple of str or None
        Instances that the caller may see; None: all.
    """

    type: str | None = None
    version: str | None = None
    status: tuple[str, ...] = ()
    user: str | None = None
    instance: str | None = None
    tag: str | None = None
    parent: str | None = None
    sub_jobs: bool = True
    text: str | None = None
    submitted_after: str | None = None
    submitted_before: str | None = None
    started_after: str | None = None
    started_before: str | None = None
    finished_after: str | None = None
    finished_before: str | None = None
    visible: tuple[str, ...] | None = None

    @property
    def instances(self) -> tuple[str, ...] | None:
        """The instances that are looked at; None: all."""
        if self.instance is None:
            return self.visible
        seen = self.visible is None or self.instance in self.visible
        return (self.instance,) if seen else ()

    @property
    def words(self) -> list[Word]:
        """The words that each job must have, the tag first."""
        found = [Word("tag", self.tag)] if self.tag is not None else []
        texts = words(self.text or "")
        return found + [
            Word("text", text[:200], text[:200] + _LAST) for text in list(texts)[:_MOST_WORDS]
        ]

    def without_status(self) -> Filters:
        """Give the same for every status."""
        return replace(self, status=())

    def conditions(
        self, bare: Collection[str] = (), without: Word | None = None
    ) -> Iterator[ColumnElement[bool]]:
        """Give all conditions on rows of `Job`.

        Parameters
        ----------
        bare : collection of str
            Columns by whose index SQLite may look; the others are only compared.
        without : Word, optional
            A word that is seen to elsewhere.
        """
        for name, values in self.pins().items():
            column = getattr(Job, name)
            column = column if name in bare else unindexed(column)
            yield column == values[0] if len(values) == 1 else column.in_(values)
        if not self.sub_jobs:
            yield is_whole()
        for time in _TIMES:
            column = getattr(Job, time)
            if after := getattr(self, f"{time}_after"):
                yield column >= after
            if before := getattr(self, f"{time}_before"):
                yield column < before
        yield from (word.on_jobs() for word in self.words if word != without)

    def pins(self) -> dict[str, tuple[str, ...]]:
        """Give the columns that must have one of the given values."""
        single = {name: getattr(self, name) for name in ("parent", "user", "version", "type")}
        found: dict[str, tuple[str, ...]] = {
            name: (value,) for name, value in single.items() if value is not None
        }
        if self.instances is not None:
            found["instance"] = self.instances
        if self.status:
            found["status"] = tuple(dict.fromkeys(self.status))
        return found

    def id_range(self, identifier: Any = Job.id) -> list[ColumnElement[bool]]:
        """Give the range of ids outside of which no job can be: ids carry their time.

        Nothing starts or ends before it was submitted, so that an upper bound of any time is one
        of the id.
        """
        found = []
        if self.submitted_after:
            found.append(identifier >= id_at(max(0, _milliseconds(self.submitted_after) - _SLACK)))
        before = [getattr(self, f"{time}_before") for time in _TIMES]
        if earliest := min(filter(None, before), default=None):
            found.append(identifier < id_at(max(0, _milliseconds(earliest) + _SLACK)))
        return found


def moment(text: str) -> str:
    """Give a time (RFC 3339, or a date) as the tables have it: UTC with milliseconds.

    Raises
    ------
    ValueError
        If it is none.
    """
    # a blank: the + of an offset that was not escaped in a URL
    given = text.replace(" ", "+").upper()
    if not _TIME.fullmatch(given):
        raise ValueError("is no time such as 2026-11-22T14:00:00Z, and no date")
    found = datetime.fromisoformat(given)
    zoned = found if found.tzinfo else found.replace(tzinfo=UTC)
    try:
        utc = zoned.astimezone(UTC)
    except OverflowError:  # the first or last hours that Python can count
        utc = zoned.replace(tzinfo=UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)
