"""The one family of errors that a person may meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class JobRunnerError(Exception):
    """What was wrong, where, and what to do.

    Parameters
    ----------
    message : str
        For a person: what was wrong, where, and what to do.
    problems : sequence of dict, optional
        The single problems behind it, each with at least ``message``.

    Attributes
    ----------
    code : str
        Short machine-readable name.
    status : int
        HTTP status under which the service reports it.
    """

    code = "internal"
    status = 500

    def __init__(self, message: str, problems: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.problems = list(problems)

    def as_dict(self) -> dict[str, Any]:
        """Give the error object of DESIGN: ``code``, ``message``, ``stage``, ``problems``."""
        return {
            "code": self.code,
            "message": self.message,
            "stage": None,
            "problems": self.problems,
        }


class InvalidRequest(JobRunnerError):
    """A request that names something wrong: a parameter, an input, an option."""

    code = "invalid_request"
    status = 422


class InvalidInput(InvalidRequest):
    """A submitted file that the job type does not accept."""

    code = "invalid_input"


class InvalidConfiguration(JobRunnerError):
    """A job type, profile or setting that is itself wrong."""

    code = "invalid_configuration"


class NotFound(JobRunnerError):
    """Something named does not exist."""

    code = "not_found"
    status = 404


class UnsafePath(InvalidRequest):
    """A file name or link that would leave the job directory."""

    code = "unsafe_path"


class ReleaseConflict(JobRunnerError):
    """A label that already stands for other content."""

    code = "release_conflict"
    status = 409


class ReleaseDamaged(JobRunnerError):
    """A release whose content no longer has its digest."""

    code = "release_damaged"


class JobBusy(JobRunnerError):
    """A job directory in which an attempt, or a bare Snakemake, is running."""

    code = "job_busy"
    status = 409


class EnvironmentFailed(JobRunnerError):
    """A stage environment that cannot be built."""

    code = "environment_failed"


class ProcessingFailed(JobRunnerError):
    """A processing repository that cannot be pinned: no such revision, no entry point."""

    code = "processing_unavailable"
    status = 422


class DiskFull(JobRunnerError):
    """No space is left for a job."""

    code = "disk_full"
    status = 507

    def __init__(self, where: object) -> None:
        super().__init__(f"The disk is full: {where}. Free some space, then do it again.")


class MissingTool(JobRunnerError):
    """A program that this machine lacks."""

    code = "missing_tool"
