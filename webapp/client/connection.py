"""Requests that are sent again where that is safe, and answers that are understood."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from webapp.client.errors import ApiError, Incomplete, ServerAway, error_of

__all__ = ["Connection", "Incomplete", "ServerAway"]
_PREFIX = "/api/v1"
_BUSY = (429, 503)  # the service did nothing
_AWAY = (502, 504)  # somebody in between did not get an answer
_LONGEST_WAIT = 10.0  # seconds between two tries
_CONNECT = 10.0
Headers = Mapping[str, str]


class Connection:
    """The connection of a client; see `Client` for the parameters."""

    def __init__(
        self,
        server: str,
        token: str | None,
        *,
        user: str | None = None,
        timeout: float = 60.0,
        patience: float = 60.0,
        on_away: Callable[[str], None] | None = None,
    ) -> None:
        self.server = normal(server)
        self.patience = patience
        self._on_away = on_away or (lambda _: None)
        headers = {"User-Agent": "jobrunner-client"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(
            base_url=self.server + _PREFIX,
            headers={**headers, **({"X-Jobrunner-User": user} if user else {})},
            timeout=httpx.Timeout(timeout, connect=_CONNECT),
            # a proxy of this machine's users leads elsewhere than to this machine
            trust_env=urlsplit(self.server).hostname not in ("127.0.0.1", "localhost", "::1"),
        )

    def close(self) -> None:
        """Close what is open."""
        self._http.close()

    def ask(self, method: str, path: str, *, safe: bool | None = None, **options: Any) -> Any:
        """Send a request and give the JSON of the answer.

        Parameters
        ----------
        method, path : str
            The path is one below ``/api/v1``.
        safe : bool, optional
            Whether it may be sent again although the service may have heard it; by default what
            the method says.
        **options
            As for httpx.

        Raises
        ------
        ApiError
            If the service refuses.
        ServerAway
            If it did not answer for as long as there is patience.
        """
        again, tries = _again(method, safe), Tries(self.patience)
        while True:
            try:
                with self.stream(method, path, safe=safe, **options) as response:
                    content = response.read()
            except Incomplete:
                wait = tries.next() if again else None
                if wait is None:
                    raise
                time.sleep(wait)
                continue
            try:
                return json.loads(content) if content else None
            except ValueError as error:
                text = f"{self.server} answered something that is no JSON. Is it the service?"
                raise Incomplete(text) from error

    @contextmanager
    def stream(
        self, method: str, path: str, *, safe: bool | None = None, **options: Any
    ) -> Iterator[httpx.Response]:
        """Send a request and give the answer, of which nothing has been read; as `ask`."""
        again = _again(method, safe)
        tries = Tries(self.patience)
        while True:
            request = self._http.build_request(method, path, **options)
            try:
                response = self._http.send(request, stream=True)
            except httpx.TransportError as error:
                self._stand(tries, error, again or isinstance(error, httpx.ConnectError))
                continue
            with _closing(response):
                if response.status_code < 300:
                    with self._translated():
                        yield response
                    return
                wait = self._refused(response, tries, again)
            time.sleep(wait)

    def _refused(self, response: httpx.Response, tries: Tries, again: bool) -> float:
        """Give how long to wait before it is asked once more."""
        with self._translated():
            response.read()
        error = error_of(response)
        may = response.status_code in _BUSY or (again and response.status_code in _AWAY)
        if not may or error.code == "too_many_streams":
            raise error
        wait = tries.next(_retry_after(response))
        if wait is None:
            raise error
        self._on_away(f"{self.server} is busy ({response.status_code} {error.code})")
        return wait

    def _stand(self, tries: Tries, error: httpx.TransportError, again: bool) -> None:
        """Wait until it may be tried again.

        Raises
        ------
        ServerAway
            If it may not.
        """
        wait = tries.next() if again else None
        if wait is None:
            raise self.away(error) from error
        self._on_away(f"{self.server} cannot be reached ({_why(error)})")
        time.sleep(wait)

    def away(self, error: httpx.TransportError) -> ServerAway:
        """Give the error that says so."""
        if isinstance(error, httpx.TimeoutException) and not isinstance(
            error, httpx.ConnectTimeout
        ):
            return ServerAway(f"{self.server} did not answer in time. Try again later.")
        return ServerAway(
            f"{self.server} cannot be reached: {_why(error)}. Is this its address (--server, "
            "$JOBRUNNER_SERVER), is the service up, and does the network lead there?"
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise Incomplete(
                f"The answer of {self.server} broke off: {_why(error)}. Try again."
            ) from error


class Tries:
    """When to try again: after twice as long each time, spread at random, up to an end."""

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + patience
        self._number = 0

    def next(self, least: float | None = None) -> float | None:
        """Give the seconds to wait, not less than the service asks for; None: no more."""
        spread = random.uniform(0.5, 1.0)  # noqa: S311 - so that clients do not come all at once
        wait = max(min(_LONGEST_WAIT, 0.25 * 2**self._number) * spread, least or 0.0)
        self._number += 1
        return wait if self._clock() + wait < self._end else None


def normal(server: str) -> str:
    """Give the address of a service in one way of writing it.

    Raises
    ------
    ApiError
        If it is none.
    """
    text = server.strip().rstrip("/").removesuffix(_PREFIX)
    try:
        parts = urlsplit(text)
        fine = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
        fine = fine and parts.username is None and not (parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        fine = False
    if not fine:
        message = f"{server!r} is no address of a service: write it like https://jobs.example.org."
        raise ApiError(422, "invalid_request", message)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path}"


def _again(method: str, safe: bool | None) -> bool:
    return method in ("GET", "PUT", "DELETE") if safe is None else safe


@contextmanager
def _closing(response: httpx.Response) -> Iterator[None]:
    try:
        yield
    finally:
        response.close()


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def _why(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__
