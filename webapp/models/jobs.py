"""Jobs: their rows, words, counts, events and artifacts, and the keys they were submitted with."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ColumnElement, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.models.base import ID, Base, plain
from webapp.models.unindexed import unindexed

OPEN = ("queued", "running", "stopping")  # statuses of a job that will still change
ENDED = ("succeeded", "failed", "cancelled")
STATUSES = (*OPEN, *ENDED)
REMOVABLE = ("work", "results", "logs")  # the files of a job that retention may remove


def _kept(kind: str) -> Index:
    there = text(f"{kind}_removed IS NULL AND finished IS NOT NULL")
    return Index(
        f"ix_jobs_{kind}_kept", "finished", "id", sqlite_where=there, postgresql_where=there
    )


class Job(Base):
    """The row of a job; a fold of its directory's events, and its place in the queue.

    That of a sub-job has no place in the queue: it is never admitted, claimed or stopped by itself,
    and who changes it has locked the row of its parent.

    Attributes
    ----------
    parent : str or None
        Of a sub-job: the job that it is a part of.
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
        ``sub_job``, ``stage``, ``only`` and ``resources`` of a rerun that was asked for.
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

    id: Mapped[str] = mapped_column(ID, primary_key=True)
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


def is_whole() -> ColumnElement[bool]:
    """Give the condition that a job is no sub-job; SQLite shall not look for it in an index."""
    condition: ColumnElement[bool] = unindexed(Job.parent).is_(None)
    return condition


class JobWord(Base):
    """What a job is found by: ``tag`` words for the filter *tag*, ``text`` words for *text*."""

    __tablename__ = "job_words"
    __table_args__ = (
        Index("ix_job_words_job", "job_id", "kind", "word"),
        {"sqlite_with_rowid": False},  # the table is its key: one tree less to walk and to write
    )

    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    word: Mapped[str] = mapped_column(plain(200), primary_key=True)
    job_id: Mapped[str] = mapped_column(
        ID, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )


class JobCount(Base):
    """How many jobs there are of each instance, type and status; kept with each change.

    Attributes
    ----------
    number : int
        All of them.
    sub_jobs : int
        Those of them that are sub-jobs.
    """

    __tablename__ = "job_counts"

    instance: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(String(16), primary_key=True)
    number: Mapped[int] = mapped_column(default=0)
    sub_jobs: Mapped[int] = mapped_column(default=0, server_default="0")


class JobEvent(Base):
    """An event of a job, as its directory has it; what has no column of its own is in `data`."""

    __tablename__ = "events"

    job_id: Mapped[str] = mapped_column(
        ID, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
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
        ID, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    path: Mapped[str] = mapped_column(primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)  # files of more than 2 GB
    sha256: Mapped[str] = mapped_column(String(64))


class Idempotency(Base):
    """A key under which a job was submitted: `scope` is the token that used it."""

    __tablename__ = "idempotency"

    scope: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    body: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str] = mapped_column(ID, ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    created: Mapped[str] = mapped_column(String(24), index=True)
