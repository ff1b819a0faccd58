"""Stages that have failed job after job, and not succeeded since."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from runner.events import Event
from webapp.db import lock
from webapp.models import Job, StageFailure

_Stage = tuple[str, str]  # its type, its name


@dataclass
class _Streak:
    """What one transaction says of a stage: whether it succeeded, and who failed after that."""

    succeeded: bool = False
    failed: dict[str, str] = field(default_factory=dict)


@dataclass
class Streaks:
    """What one transaction says of stages."""

    _of: dict[_Stage, _Streak] = field(default_factory=dict)

    def note(self, job: Job, stage: str, event: Event) -> None:
        """Note that a stage of a job has succeeded or failed."""
        streak = self._of.setdefault((job.type, stage), _Streak())
        if event["status"] == "succeeded":
            streak.succeeded = True
            streak.failed.clear()
        else:
            streak.failed[job.id] = event["time"]

    def write(self, session: Session) -> None:
        """Write it into the table, one transaction after the other for each stage."""
        known = self._known(session)
        for key, streak in sorted(self._of.items()):
            if streak.failed or (streak.succeeded and key in known):
                lock(session, f"stage:{key[0]}:{key[1]}")
                _write(session, key, streak)

    def _known(self, session: Session) -> set[_Stage]:
        """Give which of the stages that have succeeded had failed before: mostly none."""
        wanted = [key for key, streak in self._of.items() if streak.succeeded]
        if not wanted:
            return set()
        stage = tuple_(StageFailure.type, StageFailure.stage)
        query = select(StageFailure.type, StageFailure.stage).where(stage.in_(wanted)).distinct()
        return {(type_name, name) for type_name, name in session.execute(query)}


def lasting(session: Session, number: int) -> dict[_Stage, int]:
    """Give the stages that have failed for at least `number` jobs in a row, and for how many."""
    failed = func.count()
    query = select(StageFailure.type, StageFailure.stage, failed)
    query = query.group_by(StageFailure.type, StageFailure.stage).having(failed >= number)
    return {(type_name, stage): found for type_name, stage, found in session.execute(query)}


def latest(session: Session, stage: _Stage, number: int) -> list[str]:
    """Give the ids of the last `number` jobs in which a stage has failed, newest first."""
    query = select(StageFailure.job_id).where(
        StageFailure.type == stage[0], StageFailure.stage == stage[1]
    )
    newest = (StageFailure.time.desc(), StageFailure.job_id.desc())
    return list(session.scalars(query.order_by(*newest).limit(number)))


def _write(session: Session, key: _Stage, streak: _Streak) -> None:
    type_name, stage = key
    if streak.succeeded:
        session.execute(
            delete(StageFailure).where(StageFailure.type == type_name, StageFailure.stage == stage)
        )
    if streak.failed:
        dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
        statement = dialect.insert(StageFailure).values(
            [
                {"type": type_name, "stage": stage, "job_id": job_id, "time": time}
                for job_id, time in sorted(streak.failed.items())
            ]
        )
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["type", "stage", "job_id"],
                set_={"time": statement.excluded.time},
            )
        )
