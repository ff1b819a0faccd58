"""Logs of the service's processes: to stderr, for a journal to keep."""

from __future__ import annotations

import logging
import sys
from types import TracebackType
from typing import Literal

from webapp.logs import JsonLines

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def set_up_logs(level: str, form: Literal["auto", "text", "json"] = "auto") -> None:
    """Log what is as severe as `level`; what libraries say only if it is a warning.

    Parameters
    ----------
    level : str
        ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
    form : str
        ``text``, ``json`` (an object a line), or ``auto``: text in a terminal, else JSON.
    """
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if as_json else logging.Formatter(_TEXT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(as_json)
    sys.excepthook = _log_death if as_json else sys.__excepthook__
    logging.getLogger("webapp").setLevel(level.upper())
    logging.getLogger("rq.worker").addFilter(_is_not_about_waiting)


def _is_not_about_waiting(record: logging.LogRecord) -> bool:
    """Every slot says every two seconds that Redis is away; the worker process says it, too."""
    return "could not connect to Redis" not in str(record.msg)


def _log_death(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("webapp").critical(
        "the process ends because of an error", exc_info=(kind, error, trace)
    )
