"""Verifies webhooks of the job runner, signed as https://www.standardwebhooks.com says.

Only the standard library is needed: copy this file into your own application.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping

TOLERANCE = 300  # seconds by which the time of a webhook may differ from ours
_REMEMBERED = 10_000


class NotSigned(Exception):
    """A request that is no webhook of ours, or an old one sent again."""


def secret_bytes(text: str) -> bytes:
    """Give the secret as it signs: `whsec_` and base64, or the text itself."""
    text = text.strip()
    if text.startswith("whsec_"):
        encoded = text.removeprefix("whsec_")
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    return text.encode()


def verify(secret: bytes, headers: Mapping[str, str], body: bytes) -> str:
    """Give the id of a webhook whose signature and time are right; else raise `NotSigned`."""
    identifier = headers.get("webhook-id", "")
    stamp = headers.get("webhook-timestamp", "")
    if not identifier or not stamp.isascii() or not stamp.isdigit():
        raise NotSigned("webhook-id or webhook-timestamp is missing")
    if abs(time.time() - int(stamp)) > TOLERANCE:
        raise NotSigned("it is too old, or from the future")
    signed = b".".join([identifier.encode(), stamp.encode(), body])
    expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest())
    for given in headers.get("webhook-signature", "").split():  # several while a secret changes
        version, _, signature = given.partition(",")
        if version == "v1" and hmac.compare_digest(signature.encode(), expected):
            return identifier
    raise NotSigned("no signature fits")


class Seen:
    """Remembers the ids of webhooks: each comes at least once, perhaps twice."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def is_new(self, identifier: str) -> bool:
        """Tell whether an id comes for the first time, and remember it."""
        with self._lock:
            if identifier in self._ids:
                return False
            self._ids[identifier] = None
            while len(self._ids) > _REMEMBERED:
                self._ids.popitem(last=False)
            return True
