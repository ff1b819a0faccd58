"""Requests that no pool could ever hold are refused, where that is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from runner import launch, profile
from runner.errors import InvalidRequest
from runner.jobtype import JobType
from runner.prepared import Prepared
from runner.profile import Profile
from runner.resources import told
from webapp import pools
from webapp.instances import Choice
from webapp.jobs.row import Needs
from webapp.pool_room import PoolRoom
from webapp.service import Service


def draft_with_room(
    service: Service, chosen: Choice, type_name: str, *, asked: Mapping[str, Any], **given: Any
) -> Prepared:
    """Write the draft of a job for which its pool has room.

    Parameters
    ----------
    service : Service
        Whose job it will be.
    chosen : Choice
        What its instance gives it.
    type_name : str
        The job type.
    asked : mapping
        The resources that were asked for.
    **given
        Further arguments of `runner.launch.draft`.

    Raises
    ------
    JobRunnerError
        If anything asked for is wrong, or more than its pool has; nothing is left behind then.
    """
    try:
        prepared = launch.draft(
            service.home,
            type_name,
            version=chosen.version,
            profile_name=chosen.profile,
            processing_request=chosen.processing,
            asked=asked,
            caps=chosen.caps,
            **given,
        )
    except InvalidRequest as error:
        job_type = service.home.releases.get(chosen.version).job_type(type_name)
        used = profile.load(chosen.profile, service.home.path)
        try:
            check_new(service, used, job_type, asked, chosen.caps)
        except InvalidRequest as further:
            raise _both(error, further) from error
        raise
    try:
        check_new(service, prepared.profile, prepared.job_type, asked, chosen.caps)
    except BaseException:
        prepared.job.discard()
        raise
    return prepared


def check_new(
    service: Service,
    used: Profile,
    job_type: JobType,
    asked: Mapping[str, Any],
    caps: Mapping[str, Any],
) -> None:
    """Check as `check_room` for a job that is not there yet.

    Parameters
    ----------
    service : Service
        Whose job it will be.
    used, job_type
        Its profile and its type.
    asked, caps : mapping
        The resources that were asked for, and the most that its instance allows.

    Raises
    ------
    InvalidRequest
        As `check_room`.
    """
    needs = Needs.of(used, job_type, asked, caps)
    with service.db.read() as session:
        check_room(service, session, needs, asked)


def check_room(service: Service, session: Session, needs: Needs, asked: Mapping[str, Any]) -> None:
    """Check that an attempt fits into its pool, as far as it is known what that has.

    It is known while a worker of the pool lives, or where an operator has set it.

    Parameters
    ----------
    service : Service
        Whose pools.
    session : Session
        In a transaction.
    needs : Needs
        Of the attempt.
    asked : mapping
        What the request says: it is where problems point to.

    Raises
    ------
    InvalidRequest
        Naming each resource of which the pool has too little.
    """
    room = pools.room(session, service.settings).get(needs.pool, PoolRoom(needs.pool))
    problems = [
        {
            "pointer": _pointer(name, getattr(needs, name), asked),
            "message": f"It would take {told(name, getattr(needs, name))}; for one job pool "
            f"{room.name} has {room.told()}. Ask for less, or an operator for another profile.",
        }
        for name in room.lacks(needs)
    ]
    if problems:
        raise InvalidRequest("\n".join(found["message"] for found in problems), problems)


def _pointer(name: str, amount: int, asked: Mapping[str, Any]) -> str:
    """Point at the stage for which so much was asked, else at the whole."""
    for stage, own in asked.get("stages", {}).items():
        if own.get(name) == amount:
            return f"/resources/stages/{stage}/{name}"
    return f"/resources/{name}"


def _both(error: InvalidRequest, further: InvalidRequest) -> InvalidRequest:
    """Say both, but not two things of the same place."""
    known = {found["pointer"] for found in error.problems}
    new = [found for found in further.problems if found["pointer"] not in known]
    message = "\n".join([error.message, *(found["message"] for found in new)])
    return InvalidRequest(message, [*error.problems, *new])
