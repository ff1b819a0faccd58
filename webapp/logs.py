"""Lines of the log as JSON objects, and the ids that they have in common."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

# What a line may have beside its message: ids of what is being done, and what its writer gives.
IDS = ("request_id", "job", "attempt", "worker")
FIELDS = ("method", "path", "status", "ms")

_Ids = Mapping[str, str | int]
_ids: ContextVar[_Ids] = ContextVar("jobrunner_log_ids", default=MappingProxyType({}))


def tell(**ids: str | int) -> None:
    """Have all lines that this thread writes from now on say what is being done.

    Parameters
    ----------
    **ids
        Some of `IDS`, besides those that were told before.
    """
    _ids.set({**_ids.get(), **ids})


def tell_nothing() -> None:
    """Take back what was told: this thread does something else now."""
    _ids.set({})


class JsonLines(logging.Formatter):
    """Writes each record as one JSON object in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
            **_ids.get(),
        }
        given = vars(record)
        line |= {name: given[name] for name in (*IDS, *FIELDS) if name in given}
        if text := self._trace(record):
            line["exception"] = text
        return json.dumps(line, ensure_ascii=False, default=str)

    def _trace(self, record: logging.LogRecord) -> str:
        parts = [record.exc_text or ""]
        if record.exc_info and not record.exc_text:
            parts = [self.formatException(record.exc_info)]
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return "\n".join(filter(None, parts))


def are_json() -> bool:
    """Tell whether the log of this process is one of JSON lines."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.root.handlers)
