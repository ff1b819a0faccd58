"""The order of a list, and the cursor that says where in it a page ended."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column

from runner.errors import InvalidRequest
from webapp.models import Job

# Written as in the indexes: a parameter instead of '' and PostgreSQL would not use them.
_EMPTY: ColumnElement[str] = literal_column("''")
_KEYS: dict[str, ColumnElement[Any]] = {
    "started": func.coalesce(Job.started, _EMPTY),
    "finished": func.coalesce(Job.finished, _EMPTY),
    "priority": Job.priority.expression,
}
SORTS = ("submitted", *_KEYS)
Mark = tuple[Any, str]  # key and id of the last job of a page


@dataclass(frozen=True)
class Order:
    """By what a list is sorted; jobs that are equal in that, by their id.

    Ids sort by the time of submission. A job that has not started (or finished) comes before all
    that have.
    """

    by: str = "submitted"
    descending: bool = True

    @classmethod
    def parse(cls, text: str | None) -> Order:
        """Read ``submitted``, ``-finished``, …; the default is ``-submitted``, newest first.

        Raises
        ------
        InvalidRequest
            If it is none of `SORTS`.
        """
        if text is None:
            return cls()
        name = text.removeprefix("-")
        if name not in SORTS:
            message = f"Jobs cannot be sorted by {name!r}, but by: {', '.join(SORTS)}."
            raise InvalidRequest(message, [{"pointer": "/sort", "message": message}])
        return cls(name, text.startswith("-"))

    def __str__(self) -> str:
        return ("-" if self.descending else "") + self.by

    @property
    def key(self) -> ColumnElement[Any] | None:
        """What is sorted by before the id, if anything is."""
        return _KEYS.get(self.by)

    def clauses(self, *columns: Any) -> list[ColumnElement[Any]]:
        """Give what goes into ORDER BY."""
        return [column.desc() if self.descending else column.asc() for column in columns]

    def behind(
        self, mark: Mark | None, identifier: Any = Job.id
    ) -> Sequence[Sequence[ColumnElement[bool]]]:
        """Give the conditions of what comes behind `mark`: alternatives without overlap.

        They are two where one would do, because each is a range of an index on both databases.
        """
        if mark is None:
            return [[]]
        value, last = mark
        further = identifier < last if self.descending else identifier > last
        if self.key is None:
            return [[further]]
        beyond = self.key < value if self.descending else self.key > value
        return [[self.key == value, further], [beyond]]

    def mark_of(self, job: Job) -> Mark:
        """Give where `job` stands."""
        if self.by == "submitted":
            return None, job.id
        return (job.priority if self.by == "priority" else getattr(job, self.by) or ""), job.id

    def cursor(self, job: Job) -> str:
        """Give the opaque text with which the page behind `job` is asked for."""
        text = json.dumps([str(self), *self.mark_of(job)], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def mark(self, cursor: str | None) -> Mark | None:
        """Read what `cursor` wrote.

        Raises
        ------
        InvalidRequest
            If it is no cursor, or one of another order.
        """
        if not cursor:
            return None
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            order, value, identifier = json.loads(base64.b64decode(padded, b"-_", validate=True))
        except (binascii.Error, ValueError, TypeError, RecursionError):
            order, value, identifier = None, None, None
        if order == str(self) and _is_text(identifier) and self._fits(value):
            return value, identifier
        message = (
            "This is no cursor of a list sorted so: take it from `next` of a page with the same "
            "`sort`, or leave it out to begin anew."
        )
        raise InvalidRequest(message, [{"pointer": "/cursor", "message": message}])

    def _fits(self, value: Any) -> bool:
        if self.by == "submitted":
            return value is None
        if self.by == "priority":
            return type(value) is int and abs(value) < 2**31
        return _is_text(value)


def _is_text(value: Any) -> bool:
    """Tell whether it is a text that both databases take: no NUL, no half of a pair."""
    return isinstance(value, str) and value.isascii() and "\0" not in value
