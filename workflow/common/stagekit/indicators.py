"""Which meta indicators an ixmp4 platform stores. Needs nothing but Python."""

from __future__ import annotations

import math

RESERVED = ("model", "scenario", "id", "version", "is_default")  # ixmp4.data.meta.repositories
LONGEST_TEXT = 1023  # characters, of names and of values; PostgreSQL refuses more
INT_RANGE = (-(2**31), 2**31 - 1)  # ixmp4 stores 32 bits; PostgreSQL refuses more


def key_fault(name: str) -> str | None:
    """Say in a sentence why an indicator cannot have this name; None if it can."""
    if name.lower() in RESERVED:
        return f"The name {name!r} is reserved: give the meta indicator another one."
    if len(name) > LONGEST_TEXT:
        return (
            f"The name of a meta indicator has {len(name)} characters; at most {LONGEST_TEXT} are"
            " stored."
        )
    if not name or not _storable(name):
        return f"The name {name!r} is empty or holds a character that cannot be stored."
    return None


def value_fault(value: object) -> str | None:
    """Say what is wrong with a value, to follow its name in a sentence; None if nothing is."""
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"has {len(value)} characters; at most {LONGEST_TEXT} are stored"
    if isinstance(value, str) and not _storable(value):
        return "holds a character that cannot be stored"
    if isinstance(value, float) and not math.isfinite(value):
        return "is no finite number: write a number or leave the cell empty"
    if type(value) is int and not INT_RANGE[0] <= value <= INT_RANGE[1]:
        return "is too large: whole numbers are stored with 32 bits"
    return None


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
