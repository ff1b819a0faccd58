"""One destination at work: a thread of its own, so that none has to wait for another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from runner.errors import JobRunnerError
from webapp.catalogue import Catalogue
from webapp.db import DatabaseAway
from webapp.models import Delivery
from webapp.notify import store
from webapp.notify.destinations import Destination, connect
from webapp.notify.journal import Acknowledgement, Journal
from webapp.notify.outcome import Outcome, backoff
from webapp.notify.store import Name
from webapp.service import Service

log = logging.getLogger(__name__)
Clock = Callable[[], float]


class Worker(threading.Thread):
    """Sends what is due for one destination, in order, whenever it is woken.

    Parameters
    ----------
    service : Service
        Whose outbox it is.
    name : Name
        The destination.
    journal : Journal
        Where acknowledgements go first.
    catalogue : Catalogue
        For the titles of job types.
    clock : callable
        Gives the time in seconds since 1970.
    """

    def __init__(
        self,
        service: Service,
        name: Name,
        journal: Journal,
        catalogue: Catalogue,
        clock: Clock = time.time,
    ) -> None:
        super().__init__(name=f"notices to {name.instance} {name.target}", daemon=True)
        self._rests_until = 0.0  # after a failure of the destination itself
        self._service, self._name, self._journal = service, name, journal
        self._catalogue, self._clock = catalogue, clock
        self._failures = 0  # of the destination, in a row
        self._woken = threading.Event()
        self._stopped = False

    def wake(self) -> None:
        """Say that something may be due."""
        if self.is_ready():
            self._woken.set()

    def is_ready(self) -> bool:
        """Tell whether the destination may be asked again after a failure."""
        return self._clock() >= self._rests_until

    def stop(self) -> None:
        """Let it end after the delivery that it is at."""
        self._stopped = True
        self._woken.set()

    def run(self) -> None:
        """Work until told to stop."""
        while not self._stopped:
            self._woken.wait()
            self._woken.clear()
            try:
                self.drain()
            except DatabaseAway as error:
                log.warning("notices wait for the database: %s", error.message)
            except Exception:  # the next round may do better
                log.exception("notices are hindered")

    def drain(self) -> None:
        """Send all that is due, as long as the destination takes it."""
        destination: Destination | None = None
        try:
            while not self._stopped and (found := self._due()):
                if destination is None:
                    destination = self._connect(found[0])
                if destination is None or not self._send_all(destination, found):
                    self._give_up_old()
                    return
        finally:
            if destination is not None:
                destination.close()

    def _due(self) -> Sequence[Delivery]:
        with self._service.db.read() as session:
            return store.due(session, self._name, store.text_of(self._clock()))

    def _connect(self, first: Delivery) -> Destination | None:
        try:
            return connect(self._service, self._catalogue, self._name)
        except JobRunnerError as error:
            self._conclude(first, Outcome(error.message, away=True))
            return None

    def _send_all(self, destination: Destination, found: Sequence[Delivery]) -> bool:
        """Send one after the other; False: the destination is away."""
        held_up: set[str] = set()
        for delivery in found:
            if self._stopped:
                return True
            if delivery.lane in held_up:
                continue
            outcome = self._send(destination, delivery)
            if not self._conclude(delivery, outcome):
                held_up.add(delivery.lane)
            if outcome.away:
                return False
        return True

    def _send(self, destination: Destination, delivery: Delivery) -> Outcome:
        if told := self._journal.pending(delivery.key):  # the database was away just then
            return Outcome(told.detail, accepted=told.accepted)
        try:
            outcome = destination.send(delivery)
        except Exception as error:  # what it says may have secrets in it
            log.error("delivery %s cannot be composed: %s", delivery.id, type(error).__name__)
            return Outcome(f"It cannot be composed ({type(error).__name__}).")
        if outcome.accepted:
            told = Acknowledgement(delivery.key, outcome.accepted, outcome.detail)
            self._journal.write(told)
        return outcome

    def _conclude(self, delivery: Delivery, outcome: Outcome) -> bool:
        """Take down a try; tell whether the delivery is over."""
        now = self._clock()
        self._failures = self._failures + 1 if outcome.away else 0
        tries = self._failures if outcome.away else delivery.tries + 1
        wait = max(backoff(tries), outcome.wait)
        if outcome.away:
            self._rests_until = now + wait
        with self._service.db.write() as session:
            over = store.take_down(session, delivery.id, outcome, now, wait)
        self._journal.done(delivery.key)
        if not outcome.accepted:
            log.warning("delivery %s (%s): %s", delivery.id, delivery.key, outcome.detail)
        return over

    def _give_up_old(self) -> None:
        """Let nothing wait for ever behind a destination that is away."""
        moment = store.text_of(self._clock())
        given_up = 1
        while given_up and not self._stopped:
            with self._service.db.write() as session:
                given_up = store.expire(session, self._name, moment)
