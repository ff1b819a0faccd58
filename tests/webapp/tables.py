"""What the tables of a database hold, to be compared."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from webapp.db import Database
from webapp.models import Artifact, Base, Job, JobCount, JobEvent, JobWord

REBUILT = (Job, JobEvent, JobWord, JobCount, Artifact)
# A place in a pool, and by whom it is taken, are of the moment: nobody has one after a loss.
_OF_THE_MOMENT = ("admitted", "claimed_by", "fence")


def rebuilt(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Give all rows that job directories tell, with all columns that they tell."""
    found = {model.__tablename__: _rows(database, model) for model in REBUILT}
    for job in found["jobs"]:
        for name in _OF_THE_MOMENT:
            del job[name]
    counts = found["job_counts"]
    found["job_counts"] = [count for count in counts if count["number"]]
    return found


def everything(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Give all rows of all tables."""
    return {m.class_.__tablename__: _rows(database, m.class_) for m in Base.registry.mappers}


def _rows(database: Database, model: type[Base]) -> list[dict[str, Any]]:
    table = model.__table__
    query = select(table).order_by(*table.primary_key.columns)
    with database.read() as session:
        return [dict(row) for row in session.execute(query).mappings()]
