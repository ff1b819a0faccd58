"""The tables. Times are RFC 3339 texts in UTC with milliseconds: they sort as they are."""

from __future__ import annotations

from webapp.models.base import Base
from webapp.models.jobs import (
    ENDED,
    OPEN,
    REMOVABLE,
    STATUSES,
    Artifact,
    Idempotency,
    Job,
    JobCount,
    JobEvent,
    JobWord,
    is_whole,
)
from webapp.models.pools import Pause, Pool, Token, Worker
from webapp.models.told import INCIDENT_KINDS, Delivery, Incident, SchemaNote, StageFailure, Tally

__all__ = [
    "ENDED",
    "INCIDENT_KINDS",
    "OPEN",
    "REMOVABLE",
    "STATUSES",
    "Artifact",
    "Base",
    "Delivery",
    "Idempotency",
    "Incident",
    "Job",
    "JobCount",
    "JobEvent",
    "JobWord",
    "Pause",
    "Pool",
    "SchemaNote",
    "StageFailure",
    "Tally",
    "Token",
    "Worker",
    "is_whole",
]
