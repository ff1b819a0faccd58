"""Years and moments, as headers and cells write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_YEAR = re.compile(r"\d{4}(\.0*)?")
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?\s*(Z|[+-]\d{2}:?\d{2})?"
)


def year(text: str) -> int | None:
    """Read a year of four digits (``2030``, also ``2030.0``); None if it is none."""
    return int(text[:4]) if _YEAR.fullmatch(text) else None


def moment(text: str) -> datetime | None:
    """Read a date or date and time.

    Parameters
    ----------
    text : str
        ISO 8601: ``2030-01-31``, ``2030-01-31 14:00``, ``2030-01-31T14:00:00+01:00``.

    Returns
    -------
    datetime or None
        In UTC if it has an offset, without zone if not; None if it is none.
    """
    if not _MOMENT.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(re.sub(r"\s+(?=[Z+-])", "", text))
        return found if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
