"""Clients that do not let a service rest, and take down everything that they see fail."""

from __future__ import annotations

import http.client
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.webapp.running import Running

_LOST = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)
_PATIENCE = 30.0  # seconds for an answer


@dataclass
class Hammer:
    """What the clients have done.

    Attributes
    ----------
    failures : list of str
        Requests that failed, as their sender sees it.
    submitted : dict of str to str
        Ids of jobs by the key under which they were submitted.
    """

    running: Running
    requests: int = 0
    retried: int = 0
    failures: list[str] = field(default_factory=list)
    submitted: dict[str, str] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def new_connections(self) -> None:
        """Ask with a new connection each time; nothing is tried again."""
        while not self._stop.is_set():
            with self._told("GET, new connection"):
                connection = self._connect()
                self._ask(connection, "GET", "/api/v1/jobs?limit=1")
                connection.close()
            self._stop.wait(0.03)

    def kept_connection(self) -> None:
        """Ask on one connection; if it is lost, once more on a new one, as HTTP clients do."""
        connection, fresh = self._connect(), True
        while not self._stop.is_set():
            with self._told("GET, kept connection"):
                try:
                    self._ask(connection, "GET", "/api/v1/jobs?limit=1")
                    fresh = False
                except _LOST:
                    if fresh:
                        raise
                    self.retried += 1
                    connection, fresh = self._connect(), True
                    self._ask(connection, "GET", "/api/v1/jobs?limit=1")
            self._stop.wait(0.03)

    def submissions(self) -> None:
        """Submit jobs under keys, as often as it takes."""
        connection = self._connect()
        while not self._stop.is_set():
            key = secrets.token_hex(8)
            with self._told("POST"):
                try:
                    answer = self._submit(connection, key)
                except _LOST:
                    self.retried += 1
                    connection = self._connect()
                    answer = self._submit(connection, key)
                self.submitted[key] = answer["id"]
            self._stop.wait(0.4)

    def has_done(self, number: int) -> bool:
        """Tell whether so many requests were answered."""
        return self.requests >= number

    def stop(self) -> None:
        """Let all of them rest."""
        self._stop.set()

    def _connect(self) -> http.client.HTTPConnection:
        place = urlsplit(self.running.url)
        assert place.hostname
        return http.client.HTTPConnection(place.hostname, place.port, timeout=_PATIENCE)

    def _submit(self, connection: http.client.HTTPConnection, key: str) -> dict[str, str]:
        body = json.dumps({"type": "trivial", "instance": "default"})
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        found: dict[str, str] = self._ask(connection, "POST", "/api/v1/jobs", body, headers)
        return found

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, str]:
        given = {"Authorization": f"Bearer {self.running.token}", **(headers or {})}
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status in (200, 202), (answer.status, text)
        self.requests += 1
        found: dict[str, str] = json.loads(text)
        return found

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.failures.append(f"{what}: {error!r}")


@contextmanager
def hammering(running: Running, submitting: bool = True) -> Iterator[Hammer]:
    """Have clients at work for a block."""
    hammer = Hammer(running)
    works: list[Callable[[], None]] = [hammer.new_connections] * 2 + [hammer.kept_connection] * 2
    threads = [threading.Thread(target=work) for work in works]
    if submitting:
        threads.append(threading.Thread(target=hammer.submissions))
    for thread in threads:
        thread.start()
    try:
        yield hammer
    finally:
        hammer.stop()
        for thread in threads:
            thread.join()
