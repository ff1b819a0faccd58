"""Models of job types."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from webapp.api.schemas import In, Moment, Name, Out


class TypesIn(In):
    """For whom."""

    instance: Name | None = Field(
        default=None, description="What this instance may use; by default all that the token sees."
    )


class TypeIn(TypesIn):
    """For whom, and which version."""

    version: Name | None = Field(default=None, description="The newest by default.")


class VersionOut(Out):
    """A release that has the job type."""

    label: str = Field(examples=["1.4.0"])
    digest: str
    published: Moment
    source: str = Field(description="Where it came from.")
    revision: str | None = Field(description="Commit of that source.")


class TypeOut(Out):
    """A job type."""

    name: str = Field(examples=["import_timeseries"])
    title: str
    description: str
    newest: str = Field(description="Version of a job that names none.")
    versions: list[VersionOut] = Field(description="Newest first.")
    instances: list[str] = Field(description="Which of the token's instances may use it.")
    url: str


class TypesOut(Out):
    """Job types."""

    items: list[TypeOut]


class InputOut(Out):
    """A file that is submitted with a job."""

    name: str
    title: str
    description: str
    suffixes: list[str] = Field(examples=[[".xlsx", ".csv"]])
    max_size: int | None = Field(description="Bytes, at most.")
    required: bool


class TypeStageOut(Out):
    """A stage of a job type, in the order people read them."""

    name: str
    title: str
    sub_job: str | None = Field(default=None, description="Name of the sub-job that it is of.")
    resources: dict[str, Any] = Field(
        default={}, description="What it takes by default, where that is not what the job takes."
    )


class SubJobTypeOut(Out):
    """A part of a job type that is made of several."""

    name: str = Field(examples=["meta"])
    title: str
    type: str = Field(description="The job type that it is of.", examples=["import_meta"])


class KeptOut(Out):
    """How long files are kept after the end of a job: `12h`, `7d`, `2w` or `forever`."""

    work: str = Field(examples=["7d"])
    results: str = Field(examples=["90d"])
    logs: str = Field(examples=["forever"])


class RetentionOut(KeptOut):
    """How long the files of a job are kept, unless its instance says otherwise."""

    failed: KeptOut = Field(description="Those of a job that failed.")


class TypeWholeOut(TypeOut):
    """A job type in one version."""

    version: str = Field(description="The version that is described.")
    params: dict[str, Any] = Field(description="JSON Schema of the parameters.")
    inputs: list[InputOut]
    stages: list[TypeStageOut]
    sub_jobs: list[SubJobTypeOut] = Field(
        description="Its parts: a property of `params` has the parameters of each, by its name."
    )
    results: dict[str, str] = Field(description="Names of result files.")
    resources: dict[str, Any] = Field(
        description="What a job takes by default: cores, mem_mb, runtime in minutes, disk_mb, gpu."
    )
    retention: RetentionOut
    needs: list[str] = Field(description="What its profile must offer.")
    processing: str = Field(
        description="Whether a job uses a processing repository: no, optional or required."
    )
