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
        default=None, description="cpu_seconds, largest_process_mb."
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
    stages: list[StageOut]
    sub_jobs: list[SubJobOut] = Field(description="The parts of a job made of several.")
    attempts: list[AttemptOut]
    artifacts: list[ArtifactOut] = Field(description="Its own results; sub-jobs have theirs.")
    progress: ProgressOut | None
    waiting: WaitingOut | None = Field(description="Where it stands in the queue, if it waits.")
    files_gone: bool = Field(description="Whether its directory is gone: only this is known.")
    links: LinksOut
