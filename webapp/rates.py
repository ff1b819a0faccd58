"""How often: limits per token, and on failed authentication per address of the client.

Counted in Redis, for all web processes together. While it is away each process counts for itself:
no request fails, or waits longer, because of that.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TypeVar

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage, Storage
from redis.exceptions import RedisError

from runner.errors import InvalidConfiguration, JobRunnerError
from webapp.queue import TIMEOUT, Queue, QueueAway
from webapp.settings import Settings

OFF = "off"
_PREFIX = "jobrunner:rate"
_NETWORK = 64  # bits of an IPv6 address that one subscriber has at least
_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Standing:
    """How a limit is used.

    Attributes
    ----------
    limit, window : int
        Requests within seconds.
    used : int
        Requests in the window that is now.
    reset : int or None
        Seconds until the next window; None: nobody needs to know, so Redis was not asked.
    """

    name: str
    limit: int
    window: int
    used: int
    reset: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Give the headers of the IETF draft `RateLimit header fields for HTTP`."""
        until = "" if self.reset is None else f";t={self.reset}"
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.limit};w={self.window}',
            "RateLimit": f'"{self.name}";r={max(0, self.limit - self.used)}{until}',
        }


class TooManyRequests(JobRunnerError):
    """More requests than a limit lets through."""

    code = "too_many_requests"
    status = 429

    def __init__(self, message: str, standing: Standing) -> None:
        super().__init__(message)
        self.headers = {"Retry-After": str(standing.reset), **standing.headers}


class Rates:
    """Counts requests of tokens and failed authentications of addresses.

    Parameters
    ----------
    settings : Settings
        Have the limits.
    queue : Queue
        Knows whether Redis is away, and its clients wait for it no longer than it does.

    Raises
    ------
    InvalidConfiguration
        If a limit is none.
    """

    def __init__(self, settings: Settings, queue: Queue) -> None:
        self._token = limit_of(settings.rate_limit, "JOBRUNNER_RATE_LIMIT")
        self._failures = limit_of(settings.auth_rate_limit, "JOBRUNNER_AUTH_RATE_LIMIT")
        self._queue = queue
        self._shared: Storage | None = None
        self._own: Storage | None = None
        self._lock = threading.Lock()

    def count_request(self, token_id: str) -> Standing | None:
        """Count a request of a token; None: there is no limit.

        Raises
        ------
        TooManyRequests
            If it is one too many.
        """
        if self._token is None:
            return None
        key = self._token.key_for("token", token_id)
        standing = Standing(
            "token", self._token.amount, self._token.get_expiry(), self._count(self._token, key)
        )
        if standing.used > standing.limit:
            standing = replace(standing, reset=self._reset(self._token, key))
            raise TooManyRequests(
                f"This token may send {standing.limit} requests within {standing.window} s. "
                f"Wait {standing.reset} s.",
                standing,
            )
        return standing

    def refuse_guessers(self, address: str | None) -> None:
        """Stop an address that has shown too many wrong tokens, before any is looked at.

        Raises
        ------
        TooManyRequests
            If it has.
        """
        if self._failures is None:
            return
        limit, key = self._failures, self._failures.key_for("failures", _who(address))
        if self._ask(lambda storage: storage.get(key)) < limit.amount:
            return
        reset = self._reset(limit, key)
        standing = Standing("authentication", limit.amount, limit.get_expiry(), limit.amount, reset)
        raise TooManyRequests(
            "Too many wrong tokens were sent from this address. "
            f"Wait {standing.reset} s, then use a token that is valid.",
            standing,
        )

    def count_failure(self, address: str | None) -> None:
        """Count a wrong token."""
        if self._failures is None:
            return
        who = _who(address)
        key = self._failures.key_for("failures", who)
        if self._count(self._failures, key) == self._failures.amount:
            _log.warning("too many wrong tokens from %s: it is refused for a while", who)

    def forget(self) -> None:
        """Leave connections and threads to the process that this one was forked from."""
        self._shared = self._own = None
        self._lock = threading.Lock()

    def _count(self, limit: RateLimitItem, key: str) -> int:
        window = limit.get_expiry()
        return self._ask(lambda storage: storage.incr(key, window))

    def _reset(self, limit: RateLimitItem, key: str) -> int:
        left = self._ask(lambda storage: storage.get_expiry(key)) - time.time()
        return max(1, min(limit.get_expiry(), math.ceil(left)))

    def _ask(self, question: Callable[[Storage], _Result]) -> _Result:
        """Ask Redis, else the memory of this process."""
        try:
            return self._queue.ask(lambda: question(self._in_redis()))
        except (QueueAway, RedisError):  # the latter: it answers, and lets us do nothing there
            with self._lock:  # the storage counts wrongly where several threads count at once
                if self._own is None:
                    self._own = MemoryStorage()
                return question(self._own)

    def _in_redis(self) -> Storage:
        if self._shared is None:
            pool = self._queue.connection(TIMEOUT).connection_pool
            self._shared = RedisStorage("redis://", connection_pool=pool, key_prefix=_PREFIX)
        return self._shared


def limit_of(text: str, name: str) -> RateLimitItem | None:
    """Read a limit such as ``30/minute``; ``off``: none.

    Parameters
    ----------
    text : str
        The limit.
    name : str
        The variable that it is from.

    Raises
    ------
    InvalidConfiguration
        If it is none.
    """
    if text.strip().lower() == OFF:
        return None
    try:
        found = parse(text)
    except ValueError:
        found = None
    if found is None or found.amount < 1 or found.get_expiry() < 1:
        raise InvalidConfiguration(
            f"{name} is {text!r}, which is no limit. Write a number of requests and a time, such "
            f"as 30/minute or 100 per 5 minutes, or {OFF} for no limit."
        )
    return found


def _who(address: str | None) -> str:
    """Give what counts as one client: an IPv4 address, or the network of an IPv6 address."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:  # the server listens on a socket file
        return "unknown"
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, _NETWORK), strict=False))
