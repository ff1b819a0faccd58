"""The tables. Times are RFC 3339 texts in UTC with milliseconds: they sort as they are."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, MetaData, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

OPEN = ("queued", "running", "stopping")  # statuses of a job that will still change
ENDED = ("succeeded", "failed", "cancelled")
STATUSES = (*OPEN, *ENDED)
INCIDENT_KINDS = ("waiting", "worker", "stage", "disk")
REMOVABLE = ("work", "results", "logs")  # the files of a job that retention may remove


def _plain(length: int) -> String:
    """Give a text that sorts by code points, as in Python, whatever PostgreSQL's locale is."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


_ID = _plain(64)


def _kept(kind: str) -> Index:
    there = text(f"{kind}_removed IS NULL AND finished IS NOT NULL")
    return Index(
        f"ix_jobs_{kind}_kept", "finished", "id", sqlite_where=there, postgresql_where=there
    )


_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """What all tables share."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map: ClassVar = {dict[str, Any]: JSON, list[str]: JSON, str: Text}


class Job(Base):
    """The row of a job; a fold of its directory's events, and its place in the queue.

    Attributes
    ----------
    directory : str
        Relative to the home folder.
    queued : str or None
        When it was last put into the queue; None once it has ended.
    admitted : str or None
        When it was given a slot; None while it waits and after it ended.
    claimed_by : str or None
        The worker that took it, once one has.
    fence : int
        Raised with each admission: only the newest admission may claim the job.
    stop_requested : bool
        Whether the attempt is to end: somebody cancelled the job.
    next_options : dict
        ``stage``, ``only`` and ``by`` of a rerun that was asked for.
    work_removed, results_removed, logs_removed : str or None
        When retention removed these files; None if they are there, or were made anew since.
    events_seen, events_offset : int
        Number of the last event taken over, and the bytes of ``events.jsonl`` up to it.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_waiting", "pool", text("priority DESC"), "id", "instance", "type",
              sqlite_where=text("status = 'queued' AND admitted IS NULL"),
              postgresql_where=text("status = 'queued' AND admitted IS NULL")),
        Index("ix_jobs_admitted", "pool", "instance", "type",
              sqlite_where=text("admitted IS NOT NULL"),
              postgresql_where=text("admitted IS NOT NULL")),
        # What `listing` walks: it sorts by id (ids sort by time), or by one of the last four.
        Index("ix_jobs_status", "status", "id"),
        Index("ix_jobs_instance", "instance", "id"),
        Index("ix_jobs_instance_status", "instance", "status", "id"),
        Index("ix_jobs_instance_type", "instance", "type", "id"),
        Index("ix_jobs_instance_type_status", "instance", "type", "status", "id"),
        Index("ix_jobs_type", "type", "id"),
        Index("ix_jobs_version", "version", "id"),
        Index("ix_jobs_user", "user", "id"),
        Index("ix_jobs_user_status", "user", "status", "id"),
        Index("ix_jobs_parent", "parent", "id"),
        Index("ix_jobs_started", text("coalesce(started, '')"), "id"),
        Index("ix_jobs_finished", text("coalesce(finished, '')"), "id"),
        Index("ix_jobs_instance_finished", "instance", text("coalesce(finished, '')"), "id"),
        Index("ix_jobs_priority", "priority", "id"),
        # What retention walks: ended jobs that still have files of a kind, oldest end first.
        *(_kept(kind) for kind in REMOVABLE),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    type: Mapped[str]
    version: Mapped[str]
    digest: Mapped[str]
    instance: Mapped[str]
    profile: Mapped[str]
    pool: Mapped[str]
    user: Mapped[str]
    parent: Mapped[str | None]
    directory: Mapped[str]
    status: Mapped[str] = mapped_column(String(16), default="queued")
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    priority: Mapped[int] = mapped_column(default=0)
    tags: Mapped[list[str]] = mapped_column(default=list)
    pinned: Mapped[bool] = mapped_column(default=False)
    cores: Mapped[int] = mapped_column(default=1)
    mem_mb: Mapped[int] = mapped_column(default=0)
    submitted: Mapped[str] = mapped_column(String(24))
    queued: Mapped[str | None] = mapped_column(String(24))
    started: Mapped[str | None] = mapped_column(String(24))
    finished: Mapped[str | None] = mapped_column(String(24))
    attempt: Mapped[int] = mapped_column(default=0)
    interruptions: Mapped[int] = mapped_column(default=0)
    admitted: Mapped[str | None] = mapped_column(String(24))
    claimed_by: Mapped[str | None]
    fence: Mapped[int] = mapped_column(default=0)
    stop_requested: Mapped[bool] = mapped_column(default=False)
    next_options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    work_removed: Mapped[str | None] = mapped_column(String(24))
    results_removed: Mapped[str | None] = mapped_column(String(24))
    logs_removed: Mapped[str | None] = mapped_column(String(24))
    events_seen: Mapped[int] = mapped_column(default=0)
    events_offset: Mapped[int] = mapped_column(default=0)


class JobWord(Base):
    """What a job is found by: ``tag`` words for the filter *tag*, ``text`` words for *text*."""

    __tablename__ = "job_words"
    __table_args__ = (
        Index("ix_job_words_job", "job_id", "kind", "word"),
        {"sqlite_with_rowid": False},  # the table is its key: one tree less to walk and to write
    )

    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    word: Mapped[str] = mapped_column(_plain(200), primary_key=True)
    job_id: Mapped[str] = mapped_column(
        _ID, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )


class JobCount(Base):
    """How many jobs there are of each instance, type and status; kept with each change."""

    __tablename__ = "job_counts"

    instance: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(String(16), primary_key=True)
    number: Mapped[int] = mapped_column(default=0)


class JobEvent(Base):
    """An event of a job, as its directory has it; what has no column of its own is in `data`."""

    __tablename__ = "events"

    job_id: Mapped[str] = mapped_column(
        _ID, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    n: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(16))
    source: Mapped[str]
    attempt: Mapped[int | None]
    data: Mapped[dict[str, Any]]


class Artifact(Base):
    """A result file, as it was when an attempt ended."""

    __tablename__ = "artifacts"

    job_id: Mapped[str] = mapped_column(
        _ID, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    path: Mapped[str] = mapped_column(primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)  # files of more than 2 GB
    sha256: Mapped[str] = mapped_column(String(64))


class Pool(Base):
    """A pool: its slots if somebody has set them (else what its workers offer), its resources."""

    __tablename__ = "pools"

    name: Mapped[str] = mapped_column(primary_key=True)
    capacity: Mapped[int | None]
    cores: Mapped[int | None]
    mem_mb: Mapped[int | None]


class Worker(Base):
    """A worker process of a host: `slots` attempts at once, for one pool."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    pool: Mapped[str] = mapped_column(index=True)
    host: Mapped[str]
    pid: Mapped[int]
    slots: Mapped[int]
    cores: Mapped[int]
    mem_mb: Mapped[int]
    version: Mapped[str]
    state: Mapped[str] = mapped_column(String(16))
    started: Mapped[str] = mapped_column(String(24))
    heartbeat: Mapped[str] = mapped_column(String(24))


class Pause(Base):
    """What is paused: ``service`` (name ``all``), an ``instance`` or a ``pool``."""

    __tablename__ = "pauses"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    by: Mapped[str]
    since: Mapped[str] = mapped_column(String(24))


class Token(Base):
    """An opaque token: only the hash of its secret is kept."""

    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    hash: Mapped[str] = mapped_column(String(64))
    name: Mapped[str]
    role: Mapped[str] = mapped_column(String(16))
    instance: Mapped[str | None]
    acting: Mapped[bool] = mapped_column(default=False)
    created: Mapped[str] = mapped_column(String(24))
    expires: Mapped[str | None] = mapped_column(String(24))
    revoked: Mapped[str | None] = mapped_column(String(24))


class Idempotency(Base):
    """A key under which a job was submitted: `scope` is the token that used it."""

    __tablename__ = "idempotency"

    scope: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    body: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str] = mapped_column(_ID, ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    created: Mapped[str] = mapped_column(String(24), index=True)


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
    job_id: Mapped[str | None] = mapped_column(_ID)
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
    job_id: Mapped[str] = mapped_column(_ID, primary_key=True)
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
