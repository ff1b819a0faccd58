"""Nearest valid names. Needs nothing but Python."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def nearest(name: str, valid: Sequence[str], n: int = 3) -> list[str]:
    """Give up to `n` of the `valid` names that are most like `name`, best first.

    Upper and lower case count as equal, so that ``world`` finds ``World``.
    """
    folded: dict[str, str] = {}
    for one in valid:
        folded.setdefault(one.casefold(), one)
    found = difflib.get_close_matches(name.casefold(), list(folded), n=n, cutoff=0.6)
    return [folded[one] for one in found]


def did_you_mean(near: Sequence[str]) -> str:
    """Write suggestions as a sentence to be added to another."""
    return f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
