"""Models of queue, pools, workers, instances and health."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from webapp.api.schemas import Amount, In, Megabytes, Moment, Out, WaitingOut


class PauseOut(Out):
    """A pause: who asked for it, and when."""

    by: str
    since: Moment


class PoolOut(Out):
    """A pool: what it has, what is used of it, and what it is set to."""

    name: str
    slots: int = Field(description="Attempts that may run at once; 0 while no worker lives.")
    cores: int
    mem_mb: int = Field(description="Memory in MB.")
    used_slots: int
    used_cores: int
    used_mem_mb: int
    capacity: int | None = Field(description="Slots that somebody set; null: as workers offer.")
    cores_set: int | None = Field(description="Cores that somebody set.")
    mem_mb_set: int | None = Field(description="Memory in MB that somebody set.")
    one_cores: int | None = Field(
        description="The most that a host of the pool gives to one job. Null: nothing is known."
    )
    one_mem_mb: int | None = Field(description="The same for memory, in MB.")
    workers: int = Field(description="Worker processes that live.")
    paused: PauseOut | None = None


class PoolsOut(Out):
    """All pools."""

    pools: list[PoolOut]


class CapacityIn(In):
    """What a pool is to have; null or left out: what its workers offer."""

    slots: Annotated[int, Field(ge=0, le=10_000)] | None = Field(
        description="Attempts at once. Fewer than run now: the pool drains, nothing is killed."
    )
    cores: Amount | None = None
    mem_mb: Megabytes | None = Field(default=None, description="Memory in MB.")


class WorkerOut(Out):
    """A worker process of a host."""

    id: str
    pool: str
    host: str
    pid: int
    slots: int
    cores: int
    mem_mb: int = Field(description="Memory in MB.")
    version: str
    state: str = Field(description="running or draining.")
    alive: bool = Field(description="Whether it was heard of lately.")
    started: Moment
    heartbeat: Moment


class WorkersOut(Out):
    """All workers that are known."""

    workers: list[WorkerOut]


class ProcessingOut(Out):
    """A processing repository that an instance gives to a job type."""

    repository: str
    revision: str | None
    entry: str = Field(description="The function of it that is called.", examples=["main"])


class TypeRuleOut(Out):
    """What an instance says of a job type."""

    versions: list[str] | None = Field(default=None, description="Null: all that there are.")
    running: int | None = Field(default=None, description="Jobs at once; null: no limit.")
    limits: dict[str, Any] = Field(
        default={}, description="The most that a job of it may take; before those of the instance."
    )
    profile: str | None = None
    processing: ProcessingOut | None = None


class InstanceOut(Out):
    """A tenant: what it may run, and how much at once."""

    name: str
    title: str
    profile: str = Field(description="Used if a job names none.")
    types: dict[str, TypeRuleOut] | None = Field(description="Null: all job types.")
    running: int | None = Field(description="Jobs at once; null: no limit.")
    max_priority: int
    limits: dict[str, Any] = Field(
        description="The most that a job may take: cores, mem_mb, runtime in minutes, disk_mb, gpu."
    )
    paused: PauseOut | None = None
    counts: dict[str, int] = Field(description="Number of jobs by status.")


class InstancesOut(Out):
    """The instances that the token has a right to."""

    instances: list[InstanceOut]
    problems: list[str] = Field(
        description="Files that cannot be read; what they said before holds. Admins see them."
    )


class QueueIn(In):
    """How much of the queue to show."""

    limit: Annotated[int, Field(ge=0, le=100)] = Field(
        default=20, description="How many of the jobs that wait."
    )


class QueuedOut(Out):
    """A job that waits, and why."""

    id: str
    type: str
    instance: str
    pool: str
    user: str
    priority: int
    submitted: Moment
    waiting: WaitingOut | None = None
    url: str


class QueueOfPool(Out):
    """How much waits and runs in a pool."""

    pool: str
    waiting: int
    running: int
    slots: int
    oldest: Moment | None = Field(description="When the oldest job that waits was submitted.")
    paused: PauseOut | None = None


class QueueOfInstance(Out):
    """How much waits and runs of an instance."""

    instance: str
    waiting: int
    running: int
    limit: int | None
    oldest: Moment | None
    paused: PauseOut | None = None


class QueueOut(Out):
    """The queue, as far as the token has a right to see it."""

    paused: PauseOut | None = Field(description="Set while the whole service is paused.")
    pools: list[QueueOfPool]
    instances: list[QueueOfInstance]
    waiting: list[QueuedOut] = Field(description="The first jobs that wait, in their order.")


class PausedOut(Out):
    """What was paused or resumed."""

    kind: Literal["service", "instance", "pool"]
    name: str
    paused: PauseOut | None


class CheckOut(Out):
    """Whether one thing works that the service needs."""

    ok: bool
    detail: str


class HealthOut(Out):
    """The process answers."""

    status: Literal["ok"]
    version: str


class ReadyOut(Out):
    """Whether the service can work.

    ``ok``: all is well. ``degraded``: it takes requests and loses nothing, but jobs start late or
    not at all. ``unavailable``: it cannot take requests.
    """

    status: Literal["ok", "degraded", "unavailable"]
    checks: dict[str, CheckOut]


class IncidentsIn(In):
    """How many of the incidents to show."""

    limit: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=100, description="How many of those that have ended."
    )


class IncidentOut(Out):
    """Something that operators were told of."""

    id: int
    kind: Literal["waiting", "worker", "stage", "disk"] = Field(
        description="Jobs wait without a worker; a worker vanished; a stage fails job after job; "
        "the disk runs low."
    )
    key: str = Field(description="What it is about; there is one at a time of the same key.")
    message: str
    began: Moment
    ended: Moment | None = Field(default=None, description="Null while it lasts.")


class IncidentsOut(Out):
    """Incidents: those that last, then the latest of those that have ended."""

    incidents: list[IncidentOut]
