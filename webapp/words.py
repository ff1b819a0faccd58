"""The words of a text, as jobs are found by them."""

from __future__ import annotations

import re

_BETWEEN = re.compile(r"[^\w+]+|_")
_LONGEST = 200  # characters


def words(text: str) -> list[str]:
    """Give the words of `text` in lower case, each once, in their order."""
    return list(dict.fromkeys(word[:_LONGEST] for word in _BETWEEN.split(text.lower()) if word))
