"""A mail server and a receiver of webhooks on loopback, which go away and come back."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


def free_port() -> int:
    """Give a port on which nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Mailbox:
    """A mail server.

    Attributes
    ----------
    answers : dict
        What is said to a recipient; ``250 OK`` to others.
    accepted : list
        Message-ID, recipients and mail, for each that was accepted.
    proven : Counter
        By Message-ID, how often the client has said something after its mail was accepted: it has
        taken the acknowledgement.
    """

    port: int = field(default_factory=free_port)
    answers: dict[str, str] = field(default_factory=dict)
    accepted: list[tuple[str, list[str], EmailMessage]] = field(default_factory=list)
    proven: Counter[str] = field(default_factory=Counter)
    after_proof: list[str] = field(default_factory=list)
    delay: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)
    _controller: Controller | None = None

    @property
    def address(self) -> str:
        """Where it is, for the settings."""
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Come up."""
        self._controller = _Controller(self, "127.0.0.1", self.port, **self.options)
        self._controller.start()

    def stop(self) -> None:
        """Go away."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def ids(self) -> Counter[str]:
        """Give how often each mail was accepted."""
        return Counter(found for found, _, _ in self.accepted)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if answer := self.answers.get("DATA"):
            return answer
        content = cast(bytes, envelope.content)
        message = cast(EmailMessage, message_from_bytes(content, policy=policy.default))
        key = str(message["Message-ID"])
        if self.proven[key]:
            self.after_proof.append(key)
        self.accepted.append((key, list(envelope.rcpt_tos), message))
        cast(Any, server).last_accepted = key
        await asyncio.sleep(self.delay)
        return "250 OK"


class _Server(SMTP):
    last_accepted: str | None = None

    def _prove(self) -> None:
        if self.last_accepted:
            cast(Any, self.event_handler).proven[self.last_accepted] += 1
            self.last_accepted = None

    async def smtp_NOOP(self, arg: str) -> None:
        self._prove()
        await super().smtp_NOOP(arg)

    async def smtp_MAIL(self, arg: str | None) -> None:
        self._prove()
        await super().smtp_MAIL(arg)

    async def smtp_QUIT(self, arg: str) -> None:
        self._prove()
        await super().smtp_QUIT(arg)


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Server(self.handler, **self.SMTP_kwargs)


@dataclass
class Hooks:
    """A receiver of webhooks; `answers` are the statuses that it gives, then always 204."""

    port: int = field(default_factory=free_port)
    answers: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/hook"

    def documents(self) -> list[dict[str, Any]]:
        """Give the events that were received."""
        return [json.loads(body) for _, body in self.received]

    def start(self) -> None:
        """Come up."""
        self._server = _HookServer(("127.0.0.1", self.port), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Go away."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _HookServer(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a notifier that was killed


def _handler(hooks: Hooks) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            wanted = int(self.headers["Content-Length"])
            body = self.rfile.read(wanted)
            if len(body) < wanted:  # who sent it was killed in the middle: nothing has arrived
                self.close_connection = True
                return
            hooks.received.append((dict(self.headers.items()), body))
            code = hooks.answers.pop(0) if hooks.answers else 204
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server that is up."""
    found = Mailbox()
    found.start()
    yield found
    with suppress(RuntimeError):
        found.stop()


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    """A receiver that is up."""
    found = Hooks()
    found.start()
    yield found
    found.stop()
