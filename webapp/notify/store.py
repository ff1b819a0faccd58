"""The rows of the outbox, as the notifier and operators work with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, and_, delete, exists, literal_column, select
from sqlalchemy.orm import Session, aliased

from runner.errors import JobRunnerError
from runner.files import now
from webapp.models import Delivery
from webapp.notify.journal import Acknowledgement
from webapp.notify.outcome import Outcome, give_up, settle

KEPT_DAYS = 90  # for which finished deliveries can be looked up
STATES = ("waiting", "delivered", "given_up")
_BATCH = 200
# a literal: SQLite uses no partial index for a value that it is given later
_WAITING: ColumnElement[str] = literal_column("'waiting'")


@dataclass(frozen=True)
class Name:
    """Which destination: mails of an instance (or of none: alerts), or one of its webhooks."""

    kind: str
    instance: str | None
    target: str


class Delivered(JobRunnerError):
    """A delivery that has arrived: to send it again would be to say it twice."""

    code = "conflict"
    status = 409


def text_of(seconds: float) -> str:
    """Give a time, in seconds since 1970, as the tables have it."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def destinations(session: Session, time: str) -> list[Name]:
    """Give the destinations for which something is due."""
    columns = (Delivery.kind, Delivery.instance, Delivery.target)
    query = select(*columns).where(Delivery.state == _WAITING, Delivery.next_try <= time)
    return [Name(*row) for row in session.execute(query.distinct())]


def due(session: Session, name: Name, time: str) -> Sequence[Delivery]:
    """Give what is due for a destination, oldest first; nothing whose lane waits for another."""
    earlier = aliased(Delivery)
    held_up = exists().where(
        earlier.lane == Delivery.lane,
        earlier.state == _WAITING,
        earlier.id < Delivery.id,
        earlier.next_try > time,
    )
    waiting = and_(Delivery.state == _WAITING, Delivery.next_try <= time, ~held_up)
    query = select(Delivery).where(_of(name), waiting).limit(_BATCH)
    # in the order of ids, but not found by walking them: most of them are finished
    return session.scalars(query.order_by(Delivery.id + 0)).all()


def take_down(
    session: Session, delivery_id: int, outcome: Outcome, time: float, wait: float
) -> bool:
    """Take down a try; tell whether the delivery is over.

    Parameters
    ----------
    delivery_id : int
        What was tried.
    outcome : Outcome
        What became of it.
    time : float
        Now, in seconds since 1970.
    wait : float
        Seconds until the next try, if there is to be one.
    """
    row = session.get(Delivery, delivery_id, with_for_update=True, populate_existing=True)
    if row is None or row.state != "waiting":
        return True
    moment = text_of(time)
    if settle(row, outcome, moment):
        if row.expires <= moment:
            give_up(row, moment)
        else:
            row.next_try = min(text_of(time + wait), row.expires)
    return row.state != "waiting"


def acknowledge(session: Session, told: Acknowledgement, time: str) -> None:
    """Take down what an earlier notifier was told, if the row does not know it yet."""
    query = select(Delivery).where(Delivery.key == told.key).with_for_update()
    row = session.scalars(query).one_or_none()
    if row is None or row.state != "waiting" or not {*told.accepted} & {*row.recipients}:
        return
    outcome = Outcome(told.detail, accepted=told.accepted)
    settle(row, outcome, time)


def expire(session: Session, name: Name, time: str) -> int:
    """Give up what has waited too long for a destination that is away; give how many."""
    over = and_(_of(name), Delivery.state == _WAITING, Delivery.expires <= time)
    query = select(Delivery).where(over).order_by(Delivery.id).limit(_BATCH).with_for_update()
    rows = session.scalars(query).all()
    for row in rows:
        give_up(row, time)
    return len(rows)


def prune(session: Session, time: float) -> int:
    """Forget deliveries that were finished long ago; give how many."""
    oldest = text_of(time - timedelta(days=KEPT_DAYS).total_seconds())
    found = session.execute(delete(Delivery).where(Delivery.finished < oldest))
    return cast("CursorResult[Any]", found).rowcount


def try_again(session: Session, row: Delivery, by: str, hours: float) -> None:
    """Have a delivery tried again now, as if it were new.

    Parameters
    ----------
    row : Delivery
        Locked.
    by : str
        Who asks for it.
    hours : float
        For how long it is tried.

    Raises
    ------
    Delivered
        If it has arrived.
    """
    if row.state == "delivered":
        raise Delivered(f"Delivery {row.id} has arrived; it is not sent twice.")
    moment = now()
    entry = {"time": moment, "outcome": "asked", "detail": f"asked for by {by}"}
    row.history = [*row.history, entry]
    row.data = {name: value for name, value in row.data.items() if name != "refused"}
    row.state, row.finished, row.next_try = "waiting", None, moment
    row.expires = text_of(datetime.now(UTC).timestamp() + hours * 3600)


def _of(name: Name) -> ColumnElement[bool]:
    whose = Delivery.instance.is_not_distinct_from(name.instance)
    return and_(Delivery.kind == name.kind, whose, Delivery.target == name.target)
