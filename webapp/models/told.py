"""What people, monitors and other versions are told: deliveries, counts, incidents, notes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.models.base import ID, Base

INCIDENT_KINDS = ("waiting", "worker", "stage", "disk")


class Delivery(Base):
    """The outbox: a notice for somebody, until it has arrived or is given up.

    Attributes
    ----------
    key : str
        Name of the notice, the same however often it is sent: Message-ID, CloudEvents id.
    kind : str
        ``email`` or ``webhook``.
    target : str
        Name of the webhook; ``email`` for mail. Never an address with credentials.
    lane : str
        Deliveries of one lane arrive in the order of their ids: job and target.
    event : str
        What it tells: ``job.succeeded``, ``stage.failed``, ``alert.began`` …
    recipients : list of str
        Addresses that have not accepted the mail yet.
    data : dict
        What it is composed from.
    state : str
        ``waiting``, ``delivered`` or ``given_up``.
    history : list of dict
        A ``time``, ``outcome`` and ``detail`` for each try.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_due", "next_try",
              sqlite_where=text("state = 'waiting'"), postgresql_where=text("state = 'waiting'")),
        Index("ix_deliveries_waiting_lane", "lane", "id",
              sqlite_where=text("state = 'waiting'"), postgresql_where=text("state = 'waiting'")),
        Index("ix_deliveries_job_id", "job_id", "id"),
        Index("ix_deliveries_finished", "finished"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    instance: Mapped[str | None]
    target: Mapped[str]
    job_id: Mapped[str | None] = mapped_column(ID)
    lane: Mapped[str]
    event: Mapped[str] = mapped_column(String(64))
    recipients: Mapped[list[str]] = mapped_column(default=list)
    data: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    tries: Mapped[int] = mapped_column(default=0)
    history: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    created: Mapped[str] = mapped_column(String(24))
    next_try: Mapped[str] = mapped_column(String(24))
    expires: Mapped[str] = mapped_column(String(24))
    finished: Mapped[str | None] = mapped_column(String(24))


class Tally(Base):
    """A count for monitors that only grows, kept with each change; histograms have a row a bucket.

    Attributes
    ----------
    name : str
        The metric.
    labels : str
        Its labels as a JSON object with sorted keys.
    bucket : str
        Upper bound of a bucket of a histogram, which counts what is in none of the smaller ones;
        ``sum``; or empty for a plain counter.
    """

    __tablename__ = "tallies"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    labels: Mapped[str] = mapped_column(primary_key=True)
    bucket: Mapped[str] = mapped_column(String(16), primary_key=True)
    number: Mapped[float] = mapped_column(default=0.0)


class StageFailure(Base):
    """A job in which a stage has failed, for as long as the stage has succeeded in none since."""

    __tablename__ = "stage_failures"

    type: Mapped[str] = mapped_column(primary_key=True)
    stage: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ID, primary_key=True)
    time: Mapped[str] = mapped_column(String(32))


class Incident(Base):
    """Something that operators were told of: once when it began, once when it ended."""

    __tablename__ = "incidents"
    __table_args__ = (
        Index("uq_incidents_open", "key", unique=True,
              sqlite_where=text("ended IS NULL"), postgresql_where=text("ended IS NULL")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(String(200))
    message: Mapped[str]
    began: Mapped[str] = mapped_column(String(24))
    ended: Mapped[str | None] = mapped_column(String(24))


class SchemaNote(Base):
    """What code of other versions must know of these tables: ``oldest`` revision it may need."""

    __tablename__ = "schema_notes"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str]
