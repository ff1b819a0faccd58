"""Answers to clients that are still sending: most listen only when they have sent all.

Were the connection closed at once, they would see that it broke, and not why they were refused.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import Any

from flask import Response, request

_PATIENCE = 10.0  # seconds for which a body that nobody wants is still taken
_SILENCE = 2.0  # seconds without a byte after which it is not
_CHUNK = 256 * 1024


def after(response: Response) -> Response:
    """Let the rest of the request's body be taken once the answer was sent."""
    if request.environ.get("wsgi.input_terminated"):  # else its end cannot be known
        response.call_on_close(partial(_take_rest, request.environ))
    return response


def _take_rest(environ: dict[str, Any]) -> None:
    connection = environ.get("gunicorn.socket")
    before = connection.gettimeout() if connection else None
    end = time.monotonic() + _PATIENCE
    # nobody is there any more, or it was read to its end, or it is damaged: all the same now
    with suppress(Exception):
        if connection:
            connection.settimeout(_SILENCE)
        while time.monotonic() < end and environ["wsgi.input"].read(_CHUNK):
            pass
    with suppress(OSError):
        if connection:
            connection.settimeout(before)
