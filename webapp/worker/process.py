"""The worker process: as many slots as its share of the pool, whatever happens to them."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import psutil
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.orm import Session

from runner import command
from webapp import notify, pools, reconcile, tasks
from webapp.admission import admit
from webapp.children import Child, Family, Signals, Terminal, adopt_orphans, fork
from webapp.db import DatabaseAway
from webapp.models import Pool, Worker
from webapp.queue import CAPACITY
from webapp.service import Service
from webapp.worker.renewal import Renewal
from webapp.worker.slot import STOP_NOW, Slot

STOP = signal.SIGUSR1  # to a worker process: stop the attempts now
_THAT_WAIT = 32  # slots for attempts that only wait for a cluster

log = logging.getLogger(__name__)


class WorkerProcess:
    """Serve a pool on this host.

    Parameters
    ----------
    service : Service
        What it works with.
    pool : str
        The pool.
    slots : int
        Attempts at once that this host offers; a capacity set for the pool takes precedence. As
        many as cores by default; more in the pool ``slurm``, whose attempts only wait.
    cores, mem_mb : int, optional
        What its attempts may use together; what the machine has by default.
    """

    def __init__(
        self,
        service: Service,
        pool: str = "default",
        *,
        slots: int | None = None,
        cores: int | None = None,
        mem_mb: int | None = None,
    ) -> None:
        self._service = service
        self._pool = pool
        self._offer = {
            "cores": cores or os.cpu_count() or 1,
            "mem_mb": mem_mb or psutil.virtual_memory().total // 2**20,
        }
        self._offer["slots"] = slots or (_THAT_WAIT if pool == "slurm" else self._offer["cores"])
        self._family = Family()
        self._slots: list[Child] = []
        self._watchers: list[Child] = []
        self._renewal = Renewal(self._family)
        self._terminal = Terminal()
        self._id: str | None = None
        self._stops = 0  # how often it was told to
        self._next_beat = 0.0

    def run(self) -> int:
        """Serve until told to stop and the last attempt has ended."""
        command.warm()
        gc.collect()
        gc.freeze()  # forks share what is here now
        adopt_orphans()
        signals = Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, STOP, signal.SIGCHLD)
        watches = {"the reconciler": reconcile.watch, "the notifier": notify.watch}
        self._watchers = [self._family.add(self._watcher(*found)) for found in watches.items()]
        with self._service.queue.subscribe(CAPACITY) as news:
            due = 0.0
            while not self._is_over():
                if news.wait(due, signals.fileno()):
                    self._next_beat = 0.0
                self._hear(signals.take())
                self._look()
                due = min(self._family.tend(), self._next_beat - time.monotonic())
                due = max(0.0, due)
                if not self._stops:
                    self._renewal.go_on(partial(self._make_room, signals))
        self._leave()
        return 0

    def _hear(self, numbers: list[int]) -> None:
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stops += 1
            elif number == STOP:
                self._stops = 2
            elif number == signal.SIGHUP and self._terminal.is_gone():
                self._stops += 1
            else:
                if number == signal.SIGHUP:
                    self._renewal.begin()
                continue
            self._next_beat = 0.0

    def _look(self) -> None:
        """Give a sign of life, and take as many slots as are ours now."""
        if time.monotonic() < self._next_beat:
            return
        self._next_beat = time.monotonic() + self._service.settings.heartbeat
        wanted = self._beat()
        before = sum(child.wanted for child in self._slots)
        self._set_slots(wanted)
        if self._stops > 1:
            self._stop_attempts()
        elif wanted > before:
            self._admit()

    def _beat(self) -> int:
        """Tell the database that we live; give the number of slots that it wants us to have."""
        state = "draining" if self._stops else "running"
        settings = self._service.settings
        try:
            with self._service.db.exclusive("workers") as session:
                me = pools.beat(session, self._id, state) if self._id else None
                if self._id is None:
                    _strike_off_dead(session)
                if me is None:
                    me = pools.register(session, pool=self._pool, **self._offer)
                    me.state, self._id = state, me.id
                session.flush()
                capacity = session.get_one(Pool, self._pool).capacity
                living = pools.living(session, settings, self._pool)
                wanted = pools.share(capacity, living, me)
        except DatabaseAway as error:
            log.warning("the database does not answer, everything stays as it is: %s", error)
            wanted = sum(child.wanted for child in self._slots)
        return 0 if self._stops else wanted

    def _set_slots(self, wanted: int) -> None:
        self._slots = [child for child in self._slots if child.wanted or child.pid is not None]
        running = [child for child in self._slots if child.wanted]
        for number in range(len(running), wanted):
            name = f"slot {number + 1} of pool {self._pool}"
            self._slots.append(self._family.add(Child(name, self._start_slot)))
        for child in running[wanted:]:
            child.stop()  # after its attempt

    def _stop_attempts(self) -> None:
        for child in self._slots:
            child.stop(STOP_NOW)
        for horse in self._family.adopted():
            with suppress(ProcessLookupError):
                os.kill(horse, signal.SIGTERM)

    def _start_slot(self) -> int:
        assert self._id is not None
        return self._fork(partial(_work, self._service, self._pool, self._id, os.getpid()))

    def _watcher(self, name: str, watch: Callable[[Service], None]) -> Child:
        return Child(name, partial(self._fork, partial(_watch, self._service, watch)))

    def _fork(self, run: Callable[[], int]) -> int:
        return fork(run, death=signal.SIGTERM)

    def _admit(self) -> None:
        try:
            admit(self._service)
        except DatabaseAway as error:
            log.warning("waiting jobs start when the database answers: %s", error)

    def _is_over(self) -> bool:
        idle = all(child.pid is None for child in self._slots)
        return self._stops > 0 and idle and not self._family.adopted()

    def _make_room(self, signals: Signals) -> None:
        """Leave our place to a newer version: what runs goes on beside it, and is not waited for.

        Slots drain. The new version is this process, too: it is the parent of what is left, and
        waits for it in the end.
        """
        signals.keep()
        self._terminal.hand_on()
        for child in self._slots:
            child.stop()
        self._leave()

    def _leave(self) -> None:
        for watcher in self._watchers:
            watcher.stop()  # the notifier waits for the answer to what it is sending
        try:
            with self._service.db.write() as session:
                if self._id:
                    pools.leave(session, self._id)
        except DatabaseAway as error:
            log.warning("the worker could not sign off: %s", error)
        self._service.queue.publish(CAPACITY)


def _strike_off_dead(session: Session) -> None:
    """Strike off killed workers of this host, whose slots would be counted for a while."""
    mine = Worker.host == socket.gethostname()
    for worker in session.scalars(select(Worker).where(mine)):
        if worker.pid == os.getpid() or not psutil.pid_exists(worker.pid):
            session.delete(worker)


def _work(service: Service, pool: str, worker_id: str, owner: int) -> int:
    """Be a slot."""
    service.forget()
    tasks.prepare(service, worker_id)
    try:
        return Slot(service, pool, worker_id, owner).run()
    except RedisError as error:
        log.warning("a slot waits for Redis: %s", error)
        return 1


def _watch(service: Service, watch: Callable[[Service], None]) -> int:
    service.forget()
    watch(service)
    return 0
