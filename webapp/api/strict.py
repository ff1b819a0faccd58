"""Texts and numbers that every store can keep; all others are refused before a view sees them.

PostgreSQL refuses NUL in texts, UTF-8 has no lone surrogates, columns hold 64 bits, and JSON has
neither ``NaN`` nor ``Infinity``. A value of that kind is the caller's mistake: 4xx, never 5xx.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from flask import Request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import BadRequest

LARGEST = 2**63 - 1
_HEADERS = ("Authorization", "X-Jobrunner-User", "Idempotency-Key", "Last-Event-ID", "Range")


def flaw(text: str) -> str | None:
    """Say what no store could keep of `text`, or None."""
    if "\0" in text:
        return "a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "half of a surrogate pair"
    return None


def loads(text: str | bytes) -> Any:
    """Read JSON that can be stored.

    Raises
    ------
    ValueError
        If it is no JSON, or has a text or number in it that cannot be stored.
    """
    try:
        value = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_constant)
        _check(value)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


class StrictJSON(DefaultJSONProvider):
    """Reads JSON by `loads`; writes it as UTF-8 with the keys as they come."""

    ensure_ascii = False
    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Read JSON that can be stored; see `loads`."""
        return loads(s)


class StrictRequest(Request):
    """A request whose JSON body may be left out (None), and says what is wrong with it."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """Give the body; None if there is none."""
        if not self.get_data(cache=True):
            return None
        return super().get_json(force=force, silent=silent, cache=cache)

    def on_json_loading_failed(self, e: ValueError | None) -> NoReturn:
        """Refuse a body that is no JSON."""
        raise BadRequest(f"The body is no JSON that can be read: {e}.")


def check(request: Request) -> None:
    """Refuse a path, parameter or header that cannot be stored.

    Raises
    ------
    BadRequest
        Naming the parameter.
    """
    named = [(f"path, {name},", value) for name, value in (request.view_args or {}).items()]
    for name, value in request.args.items(multi=True):
        named += [("name of a query parameter", name), (f"query parameter {name}", value)]
    named += [(f"header {name}", request.headers.get(name, "")) for name in _HEADERS]
    for where, value in named:
        if isinstance(value, str) and (what := flaw(value)):
            # the name may have it, too
            raise BadRequest(f"The {printable(where)} has {what} in it.")


def printable(text: str) -> str:
    """Give `text` in ASCII, on one line."""
    escaped = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return escaped.encode("ascii", "backslashreplace").decode()


def _check(value: Any) -> None:
    if isinstance(value, str) and (what := flaw(value)):
        raise ValueError(f"a text in it has {what}")
    if isinstance(value, dict):
        for key, content in value.items():
            _check(key)
            _check(content)
    elif isinstance(value, list):
        for content in value:
            _check(content)


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -LARGEST <= int(digits) <= LARGEST:
        raise ValueError("a whole number in it needs more than 64 bits")
    return int(digits)


def _number(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError("a number in it is too large")
    return number


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
