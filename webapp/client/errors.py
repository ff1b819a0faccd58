"""What can go wrong between a client and the service."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx

from runner.errors import JobRunnerError


class ApiError(JobRunnerError):
    """The service refused, and says why.

    Attributes
    ----------
    status : int
        The HTTP status.
    code : str
        For programs.
    message : str
        For people: what was wrong, where, and what to do.
    problems : list of dict
        The single problems, each with ``pointer`` and ``message``.
    request_id : str or None
        Under which the service's log has more.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        problems: Sequence[dict[str, Any]] = (),
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, problems)
        self.status = status
        self.code = code
        self.request_id = request_id

    def as_dict(self) -> dict[str, Any]:
        """Give the error object, with ``status`` and ``request_id``."""
        return {**super().as_dict(), "status": self.status, "request_id": self.request_id}


class ServerAway(JobRunnerError):
    """The service cannot be reached, or does not answer."""

    code = "server_away"
    status = 503


class Incomplete(JobRunnerError):
    """Something that was being fetched broke off, or is not what the service said it is."""

    code = "incomplete"
    status = 502


def error_of(response: httpx.Response) -> ApiError:
    """Give the error that an answer stands for; its body must have been read."""
    request_id = response.headers.get("X-Request-ID")
    try:
        told = json.loads(response.content)
        problems = [p for p in told.get("problems") or () if isinstance(p, dict)]
        return ApiError(
            response.status_code,
            str(told["code"]),
            _message(str(told.get("detail") or told.get("title") or told["code"]), problems),
            problems,
            told.get("request_id") or request_id,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        where = str(response.request.url.copy_with(query=None))
        message = (
            f"{where} answered {response.status_code} {response.reason_phrase}, and not as the "
            "service does. Is this its address, or is something else in between?"
        )
        return ApiError(response.status_code, "error", message, (), request_id)


def _message(detail: str, problems: Sequence[dict[str, Any]]) -> str:
    """Give the words of the service, with those of the problems that it only counts."""
    more = [
        f"  {problem.get('pointer') or '/'}: {text}"
        for problem in problems
        if (text := str(problem.get("message", ""))) and text not in detail
    ]
    return "\n".join([detail, *more])
