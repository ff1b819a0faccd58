"""What the service answers, as frozen dataclasses; fields that are not known are left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

ENDED = ("succeeded", "failed", "cancelled")
_T = TypeVar("_T")


@dataclass(frozen=True)
class JobError:
    """Why a job failed."""

    code: str
    message: str
    stage: str | None = None
    problems: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Stage:
    """Where a stage of a job stands.

    Attributes
    ----------
    node, slurm_job
        Of one that a cluster runs, or that waits there: then `status` is ``waiting``, and
        `reason` says why.
    used : mapping or None
        What it took: ``seconds``, ``cpu_seconds``, ``peak_mb``, ``read_mb``, ``written_mb``.
    """

    name: str
    title: str = ""
    status: str = "waiting"
    reason: str | None = None
    attempt: int | None = None
    started: str | None = None
    seconds: float | None = None
    node: str | None = None
    slurm_job: int | str | None = None
    used: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Attempt:
    """One run of a job; `outcome` is None while it runs."""

    number: int
    outcome: str | None = None
    started: str | None = None
    finished: str | None = None
    host: str | None = None


@dataclass(frozen=True)
class Artifact:
    """A result file: path in the job's directory, size in bytes and checksum."""

    path: str
    bytes: int
    sha256: str
    url: str | None = None


@dataclass(frozen=True)
class Waiting:
    """Why a job waits, and how many are before it."""

    code: str
    message: str
    position: int | None = None


@dataclass(frozen=True)
class Progress:
    """How much of the last attempt is done."""

    done: int
    total: int


@dataclass(frozen=True)
class Job:
    """A job.

    Attributes
    ----------
    name : str or None
        Of a sub-job, among those of its job.
    stages, sub_jobs, attempts, artifacts, progress, waiting
        Only of a job that was asked for by itself; lists leave them out.
    warnings : tuple of str
        Only of a job that was just submitted: what its submitter should know.
    document : mapping
        The whole answer, with what this class has no name for.
    """

    id: str
    type: str
    status: str
    version: str = ""
    title: str | None = None
    instance: str = "default"
    profile: str = ""
    pool: str = ""
    user: str = ""
    parent: str | None = None
    name: str | None = None
    error: JobError | None = None
    priority: int = 0
    tags: tuple[str, ...] = ()
    pinned: bool = False
    submitted: str = ""
    started: str | None = None
    finished: str | None = None
    attempt: int = 0
    interruptions: int = 0
    url: str = ""
    warnings: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    sub_jobs: tuple[Job, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    progress: Progress | None = None
    waiting: Waiting | None = None
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def ended(self) -> bool:
        """Whether it succeeded, failed or was cancelled."""
        return self.status in ENDED

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Job:
        """Make it of an answer."""
        given: dict[str, Any] = {**document, "document": document}
        for name in ("tags", "warnings"):
            given[name] = tuple(document.get(name) or ())
        single: dict[str, type] = {"error": JobError, "progress": Progress, "waiting": Waiting}
        for name, kind in single.items():
            given[name] = build(kind, document[name]) if document.get(name) else None
        several: dict[str, type] = {"stages": Stage, "attempts": Attempt, "artifacts": Artifact}
        for name, kind in several.items():
            given[name] = tuple(build(kind, part) for part in document.get(name) or ())
        given["sub_jobs"] = tuple(cls.of(part) for part in document.get("sub_jobs") or ())
        return build(cls, given)


@dataclass(frozen=True)
class Page:
    """A page of a list: `next` is the cursor of the one after it; `counts` are by status."""

    items: tuple[Job, ...]
    next: str | None = None
    counts: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened to a job; `data` is all that is said of it."""

    n: int
    time: str
    kind: str
    source: str = ""
    attempt: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedStage:
    """Whether a stage would run, and why."""

    name: str
    title: str
    runs: bool
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    """What would run."""

    type: str
    version: str
    stages: tuple[PlannedStage, ...] = ()
    warnings: tuple[str, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Plan:
        """Make it of an answer."""
        stages = tuple(build(PlannedStage, part) for part in document.get("stages") or ())
        warnings = tuple(document.get("warnings") or ())
        return build(
            cls, {**document, "stages": stages, "warnings": warnings, "document": document}
        )


@dataclass(frozen=True)
class JobType:
    """A job type in one version; `params` is a JSON Schema, `results` names files."""

    name: str
    title: str = ""
    version: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, str] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def build(kind: type[_T], document: Mapping[str, Any]) -> _T:
    """Make a dataclass of those fields of an answer that it has."""
    names = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: document[name] for name in names if name in document})
