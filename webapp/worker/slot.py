"""A slot: an RQ worker that runs one attempt after the other, each in a work horse."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.exceptions import RedisError
from rq import Worker as RQWorker
from rq.exceptions import StopRequested
from rq.job import Job as RQJob
from rq.queue import Queue as RQQueue
from rq.serializers import JSONSerializer

from runner.command import die_with_parent
from runner.errors import JobRunnerError
from webapp import jobs, reconcile, tasks
from webapp.service import Service

STOP_NOW = signal.SIGUSR1  # to a slot: stop the attempt, too
_TTL = 45  # seconds without a sign of life after which RQ counts an idle worker as dead
_LEADER_ENDS = 10.0  # seconds for a leader to end after its supervisor

log = logging.getLogger(__name__)


class Slot(RQWorker):
    """An RQ worker of one queue that outlives Redis and never kills a horse.

    Parameters
    ----------
    service : Service
        What it works with; its connections must be this process's own.
    pool : str
        Whose queue it serves.
    worker_id : str
        The worker process that it belongs to.
    owner : int
        The pid of that.
    """

    # RQ waits longer each time while Redis is away
    max_connection_wait_time = 2.0

    def __init__(self, service: Service, pool: str, worker_id: str, owner: int) -> None:
        self._service = service
        self._owner = owner
        self._horse_status: int | None = None
        connection = service.queue.connection()
        super().__init__(
            [service.queue.entries(pool, connection)],
            name=f"{worker_id}.{os.getpid()}",
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=_TTL,
            log_job_description=False,
        )

    def run(self) -> int:
        """Work until told to stop."""
        signal.signal(STOP_NOW, self._stop_now)
        self.work(logging_level="WARNING")
        return 0

    def kill_horse(self, sig: signal.Signals = signal.SIGTERM) -> None:
        """Have the horse stop its attempt; it ends once that has ended."""
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGTERM)

    def fork_work_horse(self, job: RQJob, queue: RQQueue) -> None:
        """Fork a horse that hears signals only once it knows what to do with them."""
        heard = (signal.SIGTERM, signal.SIGINT, STOP_NOW)
        signal.pthread_sigmask(signal.SIG_BLOCK, heard)
        try:
            super().fork_work_horse(job, queue)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)

    def setup_work_horse_signals(self) -> None:
        """In the horse: SIGTERM stops the attempt, so does the death of slot and worker process."""
        slot = os.getppid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, tasks.request_stop)
        signal.signal(signal.SIGUSR1, self._parent_died)
        die_with_parent(signal.SIGUSR1)
        if os.getppid() != slot:  # it died before the kernel was asked
            self._parent_died()
        heard = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)

    def wait_for_horse(self) -> tuple[int | None, int | None, Any]:
        """Wait for the horse to end, and remember how it did."""
        pid, status, usage = super().wait_for_horse()
        self._horse_status = status
        return pid, status, usage

    def monitor_work_horse(self, job: RQJob, queue: RQQueue, execution: Any) -> None:
        """Wait for the horse; if it was killed, see to its job without waiting for anybody."""
        self._horse_status = None
        with _redis_may_be_away():
            super().monitor_work_horse(job, queue, execution)
        if self._horse_status:
            self._see_to(str(job.args[0]))

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """As RQ; without Redis it stays untold."""
        with _redis_may_be_away():
            super().set_state(state, pipeline)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """As RQ; without Redis it stays untold."""
        with _redis_may_be_away():
            super().heartbeat(timeout, pipeline)

    def maintain_heartbeats(self, job: RQJob, execution: Any) -> None:
        """As RQ; without Redis it stays untold, and the attempt runs on."""
        with _redis_may_be_away():
            super().maintain_heartbeats(job, execution)

    def set_shutdown_requested_date(self) -> None:
        """As RQ; without Redis it stays untold."""
        with _redis_may_be_away():
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call]

    def register_death(self) -> None:
        """As RQ; without Redis it stays untold."""
        with _redis_may_be_away():
            super().register_death()  # type: ignore[no-untyped-call]

    def check_for_suspension(self, burst: bool) -> None:
        """Do nothing: pauses are in the database."""

    def subscribe(self) -> None:
        """Do nothing: no commands come by way of Redis, and a thread would be forked with us."""

    def unsubscribe(self) -> None:
        """Do nothing, as there is no subscription."""

    def _stop_now(self, *_: object) -> None:
        self._stop_requested = True
        if self.horse_pid:
            self.kill_horse()
        else:
            signal.signal(STOP_NOW, signal.SIG_IGN)
            raise StopRequested

    def _parent_died(self, *_: object) -> None:
        """In the horse: go on as long as the worker process has adopted us."""
        if os.getppid() != self._owner:
            tasks.request_stop()

    def _see_to(self, job_id: str) -> None:
        log.warning("the horse of job %s was killed (status %s)", job_id, self._horse_status)
        deadline = time.monotonic() + _LEADER_ENDS
        try:
            with self._service.db.read() as session:
                row = jobs.get(session, job_id)
            while row.claimed_by and not reconcile.settle(self._service, row, _LEADER_ENDS):
                if time.monotonic() > deadline:
                    return  # the reconciler goes on trying
                time.sleep(0.05)
        except (JobRunnerError, OSError) as error:
            log.warning("job %s is left to the reconciler: %s", job_id, error)


@contextmanager
def _redis_may_be_away() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        log.debug("Redis is not told: %s", error)
