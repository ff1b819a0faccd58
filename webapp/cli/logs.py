"""Logs of the service's processes: to stderr, for a journal to keep."""

from __future__ import annotations

import logging


def set_up_logs(level: str) -> None:
    """Log what is as severe as `level`; what libraries say only if it is a warning."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    logging.getLogger("webapp").setLevel(level.upper())
    logging.getLogger("rq.worker").addFilter(_is_not_about_waiting)


def _is_not_about_waiting(record: logging.LogRecord) -> bool:
    """Every slot says every two seconds that Redis is away; the worker process says it, too."""
    return "could not connect to Redis" not in str(record.msg)
