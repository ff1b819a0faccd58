"""The web server: gunicorn with our application, its settings taken from ours."""

from __future__ import annotations

import signal
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from runner.command import die_with_parent
from webapp.api import create_app
from webapp.service import Service

_GRACE = 10  # seconds for requests that are being answered when the server is stopped
_SILENCE = 60  # seconds after which a process that says nothing is replaced


class Server(BaseApplication):  # type: ignore[misc]
    """Serve the API until stopped.

    Parameters
    ----------
    service : Service
        What it works with.
    bind : str
        ``HOST:PORT``, or ``fd://N`` for a socket that listens already.
    """

    def __init__(self, service: Service, bind: str) -> None:
        self._service = service
        self._bind = bind
        super().__init__()

    def load_config(self) -> None:
        """Translate our settings."""
        settings = self._service.settings
        chosen = {
            "bind": [self._bind],
            "workers": settings.web_processes,
            "worker_class": "gthread",  # event streams hold a thread each
            "threads": settings.web_threads,
            "preload_app": True,  # a process that died is replaced at once
            "timeout": _SILENCE,
            "graceful_timeout": _GRACE,
            "loglevel": "warning",
            "control_socket_disable": True,
            "post_fork": self._after_fork,
        }
        for name, value in chosen.items():
            if name in self.cfg.settings:  # the last one is newer than our oldest gunicorn
                self.cfg.set(name, value)

    def load(self) -> Flask:
        """Give the application."""
        return create_app(self._service)

    def _after_fork(self, arbiter: Any, worker: Any) -> None:
        die_with_parent(signal.SIGTERM)
        self._service.forget()
