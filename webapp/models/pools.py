"""What jobs run on and who may ask: pools, workers, pauses, tokens."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from webapp.models.base import Base


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
