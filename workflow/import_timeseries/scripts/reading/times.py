"""Years and moments, as headers and cells write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
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
    try:
        found = _parsed(text)
        return found if found is None or found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        return None


def offset(texts: Iterable[str]) -> str | None:
    """Give the offset from UTC that all of several moments have, as ``+01:00``; else None."""
    found = {f"{moment:%z}" for text in texts if (moment := _parsed(text)) is not None}
    if len(found) != 1 or found == {""}:
        return None
    text = found.pop()
    return f"{text[:3]}:{text[3:5]}"


def _parsed(text: str) -> datetime | None:
    if not _MOMENT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(re.sub(r"\s+(?=[Z+-])", "", text))
    except ValueError:
        return None
