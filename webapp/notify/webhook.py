"""Webhooks: CloudEvents 1.0 in JSON, signed as Standard Webhooks says."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from runner import __version__
from runner.errors import InvalidConfiguration
from webapp.models import Delivery
from webapp.notify.outcome import Outcome

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
TYPE_PREFIX = "ixmp.jobrunner."
_PREFIX = "whsec_"
_PATIENCE = httpx.Timeout(10.0)
_READ = 65_536  # bytes of an answer; a longer one is cut off with its connection
_OVERLOADED = (429, 503)
_LONGEST_WAIT = 3600.0  # seconds that a receiver may ask for


class Receiver:
    """Who receives the events of one webhook.

    Parameters
    ----------
    url : str
        Its address.
    secret : str
        Key of the signatures: ``whsec_`` and base64, or any other text.
    mask : callable
        Takes secrets out of what is said of it.

    Raises
    ------
    InvalidConfiguration
        If one of them cannot be used; neither is shown.
    """

    def __init__(self, url: str, secret: str, mask: Callable[[str], str]) -> None:
        self._url, self._key, self._mask = _checked(url), key_of(secret), mask
        agent = {"User-Agent": f"ixmp-jobrunner/{__version__}"}
        self._client = httpx.Client(
            timeout=_PATIENCE, headers=agent, follow_redirects=False, verify=_trust()
        )

    def send(self, name: str, key: str, body: bytes, timestamp: int) -> Outcome:
        """Post an event.

        Parameters
        ----------
        name : str
            The webhook, which is its own recipient.
        key : str
            Id of the event.
        body : bytes
            The event.
        timestamp : int
            Now, in seconds since 1970.
        """
        headers = {"Content-Type": CONTENT_TYPE, **signed(self._key, key, timestamp, body)}
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                outcome = _outcome(name, answer)
                _read_rest(answer)
                return outcome
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            said = str(error) or type(error).__name__
            return Outcome(self._mask(f"The receiver does not answer: {said}"), away=True)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


@cache
def _trust() -> ssl.SSLContext:
    """Give whose certificates are believed; to read them takes longer than to send an event."""
    return httpx.create_ssl_context()


def cloud_event(delivery: Delivery, source: str, title: str | None) -> bytes:
    """Give the event of a delivery as it is sent; the same each time it is tried.

    Parameters
    ----------
    delivery : Delivery
        What is told.
    source : str
        The service: with the id it is unique.
    title : str or None
        Title of the job type.
    """
    job, event = delivery.data["job"], delivery.data["event"]
    parts = {key: delivery.data[key] for key in ("sub_jobs",) if key in delivery.data}
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": delivery.key,
        "source": source,
        "type": TYPE_PREFIX + delivery.event,
        "subject": job["id"],
        "time": event["time"],
        "datacontenttype": "application/json",
        "data": {"job": {**job, "title": title}, "event": event, **parts},
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def signed(key: bytes, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Give the headers of Standard Webhooks."""
    said = f"{event_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def key_of(secret: str) -> bytes:
    """Read a secret.

    Raises
    ------
    InvalidConfiguration
        If it begins as base64 and is none.
    """
    if not secret.startswith(_PREFIX):
        return secret.encode()
    text = secret.removeprefix(_PREFIX)
    with suppress(binascii.Error, ValueError):
        if key := base64.b64decode(text + "=" * (-len(text) % 4), validate=True):
            return key
    raise InvalidConfiguration("The secret begins with whsec_, but what follows is no base64.")


def _checked(url: str) -> str:
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return url
    raise InvalidConfiguration("The address of the webhook is no http:// or https:// address.")


def _outcome(name: str, answer: httpx.Response) -> Outcome:
    code = answer.status_code
    said = f"HTTP {code} {_reason(code)}".strip()
    if answer.is_success:
        return Outcome(said, accepted=(name,))
    if code == HTTPStatus.GONE:  # the word for: never again
        return Outcome(said, refused={name: said})
    busy = code in _OVERLOADED
    return Outcome(said, away=busy, wait=_asked_for(answer) if busy else 0.0)


def _reason(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return ""


def _asked_for(answer: httpx.Response) -> float:
    try:
        return min(max(float(answer.headers.get("Retry-After", "0")), 0.0), _LONGEST_WAIT)
    except ValueError:  # a date: our own patience will do
        return 0.0


def _read_rest(answer: httpx.Response) -> None:
    """Read a short answer, so that its connection can be used again."""
    with suppress(httpx.HTTPError, ValueError):
        if int(answer.headers.get("Content-Length", str(_READ + 1))) <= _READ:
            answer.read()
