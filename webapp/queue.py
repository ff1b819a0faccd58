"""The queue: an RQ queue per pool, and messages that something is new. Redis may lose all of it."""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry
from rq import Queue as RQQueue
from rq.serializers import JSONSerializer

from runner.errors import JobRunnerError

CAPACITY = "jobrunner:capacity"  # channel: the slots of a pool may have changed
_FUNCTION = "webapp.tasks.run"
TIMEOUT = 0.4  # seconds until Redis counts as away: somebody waits for an answer meanwhile
_BACK_OFF = 1.0  # seconds after a failure in which nobody tries again
_FAILED_KEPT = 3600  # seconds for which RQ keeps the trace of an entry whose horse failed

log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


def channel_of(job_id: str) -> str:
    """Give the channel on which new events of a job are announced."""
    return f"jobrunner:job:{job_id}"


class QueueAway(JobRunnerError):
    """Redis does not answer."""

    code = "queue_unavailable"
    status = 503


class Queue:
    """Wake-ups for workers, and messages between processes.

    Nothing that is only here may be missed: admission is in the database, and the reconciler puts
    again what Redis has lost.

    Parameters
    ----------
    redis_url : str
        ``redis://…``, ``rediss://…`` or ``unix://PATH``.
    """

    def __init__(self, redis_url: str) -> None:
        self.redis_url = redis_url
        self._redis = self.connection(TIMEOUT)
        self._away_until = 0.0

    def put(self, pool: str, job_id: str, fence: int) -> bool:
        """Wake a worker of `pool` for an admitted job; to do it twice is harmless.

        Returns
        -------
        bool
            False if Redis is away: the reconciler does it when it is back.
        """

        def enqueue() -> bool:
            self.entries(pool).enqueue_call(
                _FUNCTION,
                args=(job_id, fence),
                job_id=_entry(job_id, fence),
                timeout=-1,  # limits are the runner's
                result_ttl=0,
                failure_ttl=_FAILED_KEPT,
                description=f"{job_id} ({fence})",
            )
            return True

        try:
            return self.ask(enqueue)
        except QueueAway as error:
            log.warning("%s is put on the queue later: %s", job_id, error.message)
            return False

    def has(self, pool: str, job_id: str, fence: int) -> bool:
        """Tell whether the wake-up for a job still waits for a worker.

        One that a worker has taken is not counted: the worker claims the job within the same
        moment, or has died.

        Raises
        ------
        QueueAway
            If Redis does not answer.
        """
        key, entry = self.entries(pool).key, _entry(job_id, fence)
        return self.ask(lambda: self._redis.lpos(key, entry) is not None)

    def publish(self, channel: str, message: str = "") -> None:
        """Tell whoever listens; if Redis is away, they find out by looking."""
        with suppress(QueueAway):
            self.ask(lambda: self._redis.publish(channel, message))

    @contextmanager
    def subscribe(self, channel: str) -> Iterator[Subscription]:
        """Listen to a channel."""
        subscription = Subscription(self._redis, channel)
        try:
            yield subscription
        finally:
            subscription.close()

    def length(self, pool: str) -> int:
        """Give the number of wake-ups that wait for a worker of `pool`.

        Raises
        ------
        QueueAway
            If Redis does not answer.
        """
        return int(self.ask(lambda: self.entries(pool).count))

    def ping(self) -> None:
        """Ask for a sign of life, however short ago the last failure was.

        Raises
        ------
        QueueAway
            If there is none.
        """
        self._away_until = 0.0
        self.ask(self._redis.ping)

    def warnings(self) -> list[str]:
        """Say which settings of Redis are unsafe.

        Raises
        ------
        QueueAway
            If Redis does not answer.
        """
        try:
            found = self.ask(self._safety)
        except ResponseError:
            return ["Redis does not show its settings; see that appendonly and noeviction are set."]
        wrong = []
        if found["appendonly"] != "yes":
            wrong.append(
                "Redis keeps nothing on disk (appendonly no): after a restart of it, jobs start "
                "some seconds late. Set: appendonly yes, appendfsync everysec."
            )
        if found["maxmemory-policy"] != "noeviction":
            wrong.append(
                f"Redis may drop entries silently (maxmemory-policy {found['maxmemory-policy']}). "
                "Set: maxmemory-policy noeviction."
            )
        return wrong

    def forget(self) -> None:
        """Leave the connections to the process that this one was forked from."""
        self._redis = self.connection(TIMEOUT)

    def entries(self, pool: str, connection: Redis | None = None) -> RQQueue:
        """Give RQ's queue of a pool, for those that work with RQ."""
        return RQQueue(pool, connection=connection or self._redis, serializer=JSONSerializer)

    def connection(self, timeout: float | None = None) -> Redis:
        """Give a client of its own; `timeout` bounds each answer, connecting is bounded anyway."""
        # one new try where a connection turns out to be dead, none after a time-out
        retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
        return Redis.from_url(
            self.redis_url,
            socket_timeout=timeout,
            socket_connect_timeout=TIMEOUT,
            retry=retry,
            retry_on_error=[RedisConnectionError],
        )

    def ask(self, question: Callable[[], _Result]) -> _Result:
        """Ask Redis something, unless it was away a moment ago: nobody waits for it twice.

        Raises
        ------
        QueueAway
            If it does not answer.
        """
        if time.monotonic() < self._away_until:
            raise QueueAway("Redis did not answer a moment ago.")
        try:
            return question()
        except ResponseError as error:
            if not _is_temporary(error):
                raise
            raise self._away(error) from error
        except (RedisError, OSError) as error:
            raise self._away(error) from error

    def _safety(self) -> dict[str, str]:
        asked = ("appendonly", "maxmemory-policy")  # one by one: Redis 6 takes no more at once
        return {name: str(self._redis.config_get(name).get(name)) for name in asked}

    def _away(self, error: Exception) -> QueueAway:
        self._away_until = time.monotonic() + _BACK_OFF
        return QueueAway(f"Redis does not answer: {error}")


class Subscription:
    """Messages of one channel; made by `Queue.subscribe`."""

    def __init__(self, redis: Redis, channel: str) -> None:
        self._redis = redis
        self._channel = channel
        self._pubsub: PubSub | None = None

    def wait(self, seconds: float, *others: int) -> bool:
        """Wait for a message.

        Parameters
        ----------
        seconds : float
            How long at most.
        *others : int
            File descriptors that end the wait, too, when they can be read.

        Returns
        -------
        bool
            True if there was a message, or if one may have been missed: look now. While Redis is
            away it waits a second at most.
        """
        try:
            if self._pubsub is None:
                self._connect()
                return True
            if self._taken():
                return True
            ready, _, _ = select.select([self._socket(), *others], [], [], seconds)
            return self._socket() in ready and self._taken()
        except (RedisError, OSError, ValueError):
            self.close()
            select.select(others, [], [], min(seconds, _BACK_OFF))
            return True

    def close(self) -> None:
        """Listen no longer."""
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            with suppress(RedisError, OSError):
                pubsub.close()

    def _connect(self) -> None:
        pubsub = self._redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        pubsub.subscribe(self._channel)
        pubsub.get_message(timeout=TIMEOUT)
        self._pubsub = pubsub

    def _socket(self) -> int:
        assert self._pubsub is not None
        connection = self._pubsub.connection
        if connection is None or connection._sock is None:
            raise RedisConnectionError("the connection is closed")
        return int(connection._sock.fileno())

    def _taken(self) -> bool:
        """Take all messages that have come; tell whether there were any."""
        assert self._pubsub is not None
        found = False
        while self._pubsub.get_message(timeout=0) is not None:
            found = True
        return found


def _entry(job_id: str, fence: int) -> str:
    return f"{job_id}-{fence}"


def _is_temporary(error: ResponseError) -> bool:
    """Tell a server that cannot answer now (starting, out of memory) from one that says no."""
    return str(error).startswith(("LOADING", "BUSY", "OOM", "MISCONF", "MASTERDOWN", "READONLY"))
