"""The web server: gunicorn with our application, its settings taken from ours."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from runner.command import die_with_parent
from webapp import logs
from webapp.api import create_app, streams
from webapp.service import Service

_GRACE = 300  # seconds for requests that are being answered, a large upload; its parent may hurry
_SILENCE = 60  # seconds after which a process that says nothing is replaced


class _Process(ThreadWorker):  # type: ignore[misc]
    """A web process that ends its event streams at once when it is told to stop."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Hear SIGTERM."""
        streams.end_all()
        super().handle_exit(sig, frame)


class _PassedOn(Logger):  # type: ignore[misc]
    """What gunicorn says, in the form that all of the log has."""

    def setup(self, cfg: Any) -> None:
        """Leave the writing to the handler of this process."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class Server(BaseApplication):  # type: ignore[misc]
    """Serve the API until stopped.

    Parameters
    ----------
    service : Service
        What it works with.
    bind : str
        ``HOST:PORT``, or ``fd://N`` for a socket that listens already.
    ready : int, optional
        A pipe to which each process writes a byte once it has answered a request.
    """

    def __init__(self, service: Service, bind: str, ready: int | None = None) -> None:
        self._service = service
        self._bind = bind
        self._ready = ready
        super().__init__()

    def load_config(self) -> None:
        """Translate our settings."""
        settings = self._service.settings
        chosen = {
            "bind": [self._bind],
            "workers": settings.web_processes,
            "worker_class": _Process,  # with threads: event streams hold one each
            "threads": settings.web_threads,
            "preload_app": True,  # a process that died is replaced at once
            "timeout": _SILENCE,
            "graceful_timeout": _GRACE,
            "loglevel": "warning",
            "control_socket_disable": True,
            "post_fork": self._after_fork,
            "post_worker_init": self._begins,
        }
        if logs.are_json():
            chosen["logger_class"] = _PassedOn
        for name, value in chosen.items():
            if name in self.cfg.settings:  # the last one is newer than our oldest gunicorn
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """Give the application."""
        return create_app(self._service)

    def _after_fork(self, arbiter: Any, worker: Any) -> None:
        die_with_parent(signal.SIGTERM)
        self._service.forget()
        streams.begin()

    def _begins(self, worker: Any) -> None:
        """Say that this process answers, if it does; it accepts connections next."""
        if self._ready is None:
            return
        app: Flask = worker.wsgi
        if app.test_client().get("/healthz").status_code == 200:
            with suppress(OSError):  # it was asked for the first processes only
                os.write(self._ready, b".")
        os.close(self._ready)
