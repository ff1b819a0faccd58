"""The notifier: looks for what is due, and lets each destination's thread send it."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from types import FrameType

from webapp.catalogue import Catalogue
from webapp.db import DatabaseAway
from webapp.lease import lease
from webapp.notify import rules, store
from webapp.notify.journal import Journal
from webapp.notify.lanes import Clock, Worker
from webapp.notify.store import Name
from webapp.service import Service

JOURNAL = "notices.journal"  # in the home
_LEASE = "notifier"
_LOOK = 1.0  # seconds; what Redis announces is looked at at once
_PRUNE_EVERY = 3600.0
_GRACE = 5.0  # seconds for what is being sent when it is told to stop

log = logging.getLogger(__name__)


def watch(service: Service) -> None:
    """Send for ever, once the lease is free; see `webapp.notify.watch`."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)
    while True:
        with lease(service.home.path, _LEASE) as mine:
            if mine:
                Notifier(service).run()
        time.sleep(_LOOK)


class Notifier:
    """Sends what the outbox has; whoever makes one holds the lease.

    Parameters
    ----------
    service : Service
        Whose outbox.
    clock : callable
        Gives the time in seconds since 1970.
    """

    def __init__(self, service: Service, clock: Clock = time.time) -> None:
        self._service, self._clock = service, clock
        self._journal = Journal(service.home.path / JOURNAL)
        self._catalogue = Catalogue(service.home.releases)
        self._workers: dict[Name, Worker] = {}
        self._next_prune = 0.0
        self._has_taken_over = False

    def run(self) -> None:
        """Work until the process is told to stop."""
        try:
            with self._service.queue.subscribe(rules.CHANNEL) as news:
                while True:
                    self.look()
                    news.wait(_LOOK)
        finally:
            if not self.stop():
                os._exit(0)  # with the lease: what is being sent is nobody else's yet

    def look(self) -> None:
        """Wake whoever has something to do; nothing is sent before the journal is taken over."""
        try:
            self.take_over()
            for name in self.due():
                worker = self.worker(name)
                if worker.ident is None:
                    worker.start()
                worker.wake()
            self._prune()
        except DatabaseAway as error:
            log.warning("notices wait for the database: %s", error.message)
        except Exception:  # the next look may do better
            log.exception("the notifier is hindered")

    def take_over(self) -> None:
        """Take down, once, what an earlier notifier was told just before it died."""
        if self._has_taken_over:
            return
        told = self._journal.read()
        if told:
            moment = store.text_of(self._clock())
            with self._service.db.write() as session:
                for acknowledgement in told:
                    store.acknowledge(session, acknowledgement, moment)
        self._journal.clear()
        self._has_taken_over = True

    def due(self) -> list[Name]:
        """Give the destinations for which something is due."""
        with self._service.db.read() as session:
            return store.destinations(session, store.text_of(self._clock()))

    def worker(self, name: Name) -> Worker:
        """Give the thread of a destination, which may not have been started yet."""
        if name not in self._workers:
            self._workers[name] = Worker(
                self._service, name, self._journal, self._catalogue, self._clock
            )
        return self._workers[name]

    def stop(self) -> bool:
        """Let the threads end what they are at; tell whether all have, within some seconds."""
        for worker in self._workers.values():
            worker.stop()
        deadline = time.monotonic() + _GRACE
        for worker in self._workers.values():
            if worker.ident is not None:
                worker.join(max(0.0, deadline - time.monotonic()))
        return not any(worker.is_alive() for worker in self._workers.values())

    def _prune(self) -> None:
        now = self._clock()
        if now < self._next_prune:
            return
        self._next_prune = now + _PRUNE_EVERY
        with self._service.db.write() as session:
            if forgotten := store.prune(session, now):
                log.info("%d old deliveries are forgotten", forgotten)


def _stop(number: int, frame: FrameType | None) -> None:
    # the next one comes when our parent dies: it must not end the wait for what is being sent
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)
