"""What is answered for files that retention has removed: 410, when and why."""

from __future__ import annotations

from sqlalchemy import select

from runner.errors import JobRunnerError
from webapp.api import auth
from webapp.models import REMOVABLE, Job, JobEvent

RESPONSE = "Retention has removed the files of that kind; `detail` says when and why."


class FilesRemoved(JobRunnerError):
    """Files of a job that were there, and were removed."""

    code = "files_removed"
    status = 410


def refuse(job: Job, kind: str) -> None:
    """Refuse, if files of a kind of a job were removed.

    Parameters
    ----------
    kind : str
        ``results`` or ``logs``; others are never refused.

    Raises
    ------
    FilesRemoved
        Saying when and why, and how to have them again.
    """
    when = getattr(job, f"{kind}_removed") if kind in REMOVABLE else None
    if when is not None:
        raise FilesRemoved(
            f"The {kind} of job {job.id} were removed on {when}. {_told(job, kind)} "
            f"Run the job again to have them made anew: POST /api/v1/jobs/{job.id}/rerun."
        )


def _told(job: Job, kind: str) -> str:
    """Give what the event says of it."""
    query = select(JobEvent).where(JobEvent.job_id == job.id, JobEvent.kind == "note")
    with auth.service().db.read() as session:
        for event in session.scalars(query.order_by(JobEvent.n.desc())):
            if kind in event.data.get("removed", {}):
                return str(event.data["message"])
    return ""
