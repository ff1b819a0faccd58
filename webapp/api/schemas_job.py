"""Models of a job in full."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from webapp.api.schemas import (
    ArtifactOut,
    ErrorOut,
    JobOut,
    Moment,
    Out,
    StageOut,
    UsedOut,
    WaitingOut,
)


class SubmittedFileOut(Out):
    """A file that was submitted."""

    name: str = Field(description="Of the input.", examples=["workbook"])
    title: str
    filename: str = Field(description="As its sender calls it.")
    path: str = Field(description="In the job's directory.")
    bytes: int
    sha256: str
    url: str


class UsedProcessingOut(Out):
    """The processing repository that the job uses, pinned."""

    repository: str | None = None
    revision: str | None = None
    commit: str | None = None
    entry: str | None = None


class AmountsOut(Out):
    """What something may take; null: there is no limit."""

    cores: int | None = None
    mem_mb: int | None = Field(default=None, description="Memory in MB.")
    runtime: float | None = Field(default=None, description="Wall time in minutes.")
    disk_mb: int | None = Field(default=None, description="Files that are written, in MB.")
    gpu: int | None = Field(default=None, description="Graphics processors.")


class GrantedOut(Out):
    """What its attempt gets, else one that starts now: defaults, requests, cut to the limits."""

    attempt: AmountsOut = Field(description="All stages that run at the same time, together.")
    stages: dict[str, AmountsOut]


class RequestOut(Out):
    """What was asked for."""

    params: dict[str, Any] | None = Field(
        description="Parameters, defaults included. Null if the files of the job are gone."
    )
    inputs: list[SubmittedFileOut]
    version: str
    digest: str = Field(description="Of the release.")
    release_gone: bool = Field(description="Whether the release was removed: it cannot run again.")
    processing: UsedProcessingOut | None
    resources: dict[str, Any] = Field(
        default={}, description="Resources that were asked for beside the defaults."
    )
    resubmit_of: str | None = Field(description="The job that it repeats, with changes.")


class AttemptOut(Out):
    """One run of the job."""

    number: int
    outcome: str | None = Field(
        default=None,
        description="succeeded, failed, cancelled, timed_out or interrupted; null: it runs.",
    )
    started: Moment | None = None
    finished: Moment | None = None
    host: str | None = None
    used: dict[str, Any] | None = Field(
        default=None, description="Of all together: cpu_seconds, largest_process_mb."
    )
    stages: dict[str, UsedOut] = Field(
        default={}, description="What each stage took that ran in it."
    )
    error: ErrorOut | None = None


class ProgressOut(Out):
    """How much of the last attempt is done."""

    done: int
    total: int
    time: Moment


class LinksOut(Out):
    """What there is besides."""

    events: str
    log: str
    files: str
    zip: str
    sub_jobs: str
    type: str
    parent: str | None


class SubJobOut(JobOut):
    """A part of a job, as a list shows it."""

    name: str = Field(description="Its id is that of the job, a dot and this.", examples=["meta"])


class JobWholeOut(JobOut):
    """A job, with everything that a page about it needs."""

    request: RequestOut
    resources: GrantedOut | None = Field(
        description="What it may take. Null for a sub-job, and where that is not known any more."
    )
    stages: list[StageOut]
    sub_jobs: list[SubJobOut] = Field(description="The parts of a job made of several.")
    attempts: list[AttemptOut]
    artifacts: list[ArtifactOut] = Field(description="Its own results; sub-jobs have theirs.")
    progress: ProgressOut | None
    waiting: WaitingOut | None = Field(description="Where it stands in the queue, if it waits.")
    files_gone: bool = Field(description="Whether its directory is gone: only this is known.")
    links: LinksOut
