"""Models of what the API takes and gives; the OpenAPI document is made from them.

Answers inherit from `Out` (made from rows: ``JobOut.model_validate(row)``, or with keywords),
bodies and query parameters from `In`: unknown fields are refused. `Name`, `Moment`, `Whole`,
`Amount`, `Megabytes` and `Priority` are types of fields that refuse what no store could keep.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from webapp.api.strict import LARGEST, flaw

MOST = 1_000_000_000  # of an amount: columns for them have 32 bits


def _storable(text: str) -> str:
    if what := flaw(text):
        raise ValueError(f"has {what} in it")
    return text


Text = Annotated[str, Field(max_length=1000), AfterValidator(_storable)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_storable)]
Whole = Annotated[int, Field(ge=0, le=LARGEST)]
Amount = Annotated[int, Field(ge=1, le=1_000_000)]
Megabytes = Annotated[int, Field(ge=1, le=MOST)]
Priority = Annotated[int, Field(ge=-100, le=100, description="Higher goes first.")]
Tag = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_storable)]
Tags = Annotated[list[Tag], Field(max_length=50, description="Words to filter by.")]
Status = Literal["queued", "running", "stopping", "succeeded", "failed", "cancelled"]
StageStatus = Literal["waiting", "running", "succeeded", "failed", "stopped"]
Moment = Annotated[
    str, Field(description="RFC 3339 in UTC.", examples=["2026-11-22T14:00:03.120Z"])
]


class In(BaseModel):
    """What a request may say; a field that is not known is an error."""

    model_config = ConfigDict(extra="forbid")


class Out(BaseModel):
    """What an answer says; it can be made from a row of the database."""

    model_config = ConfigDict(from_attributes=True)


class SingleProblem(Out):
    """One of the things that are wrong; besides, it may say where: file, sheet, row, column."""

    model_config = ConfigDict(extra="allow")

    pointer: str = Field(
        description="JSON pointer to the field; empty if it is about the whole.",
        examples=["/params/word"],
    )
    message: str = Field(examples=["9 is not of type 'string'"])


class Problem(Out):
    """An error (RFC 9457), the same shape everywhere."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(description="The HTTP status in words.", examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(description="What was wrong, where, and what to do; for people.")
    code: str = Field(description="For programs.", examples=["invalid_request"])
    problems: list[SingleProblem]
    instance: str | None = Field(description="The path that was asked for.")
    request_id: str | None = Field(description="The service's log names it.")


class ErrorOut(Out):
    """Why a job failed."""

    model_config = ConfigDict(extra="allow")

    code: str = Field(examples=["stage_failed"])
    message: str
    stage: str | None = None
    problems: list[dict[str, Any]] = []


class JobOut(Out):
    """A job as lists show it."""

    id: str = Field(description="Sortable by time.", examples=["01KAN7Q3ZD9V"])
    type: str = Field(examples=["import_timeseries"])
    title: str | None = Field(default=None, description="The job type's title.")
    version: str = Field(description="Label of the release that it runs.", examples=["1.4.0"])
    instance: str = Field(examples=["default"])
    profile: str = Field(examples=["local"])
    pool: str = Field(examples=["default"])
    user: str = Field(examples=["jane"])
    parent: str | None = Field(
        default=None, description="Of a sub-job: the job that it is a part of."
    )
    status: Status
    error: ErrorOut | None = None
    priority: int
    tags: list[str]
    pinned: bool = Field(description="Kept by retention.")
    submitted: Moment
    started: Moment | None = None
    finished: Moment | None = None
    attempt: int = Field(description="Number of the last attempt; 0 before the first.")
    interruptions: int = Field(description="How often a worker or machine died under it.")
    work_removed: Moment | None = Field(
        default=None, description="When retention removed its work files, if they are gone."
    )
    results_removed: Moment | None = Field(default=None, description="Its result files.")
    logs_removed: Moment | None = Field(default=None, description="Its logs.")
    url: str = Field(description="Where all about it is.", examples=["/api/v1/jobs/01KAN7Q3ZD9V"])

    @classmethod
    def of(cls, job: Any, **further: Any) -> Self:
        """Make it of a row; `further` are fields that the row does not have.

        Parameters
        ----------
        job : webapp.models.Job
            The row.
        **further
            ``title``, for example.
        """
        taken = {name: getattr(job, name) for name in JobOut.model_fields if hasattr(job, name)}
        return cls(**{**taken, "url": f"/api/v1/jobs/{job.id}", **further})


class EventOut(Out):
    """Something that happened to a job; what depends on its kind is beside it."""

    model_config = ConfigDict(extra="allow")

    n: int = Field(description="1 for the first; no number is left out.")
    time: Moment
    kind: str = Field(description="status, attempt, stage, progress, log or note.")
    source: str = Field(description="Who says so: runner, snakemake, api, a worker.")
    attempt: int | None = None


class ArtifactOut(Out):
    """A result file."""

    path: str = Field(examples=["results/report.html"])
    bytes: int
    sha256: str
    url: str | None = None


class UsedOut(Out):
    """What a stage took, all runs of its rule together."""

    runs: int = Field(description="How often its rule ran.")
    seconds: float = Field(description="Wall time.")
    longest_seconds: float | None = Field(
        default=None, description="Wall time of the longest run, which its limit is for."
    )
    cpu_seconds: float | None = None
    peak_mb: float | None = Field(
        default=None, description="The most memory of a run, in MB, without cached files."
    )
    read_mb: float | None = Field(
        default=None,
        description="What its processes read, in millions of bytes; pipes, and what the kernel had "
        "in memory, included.",
    )
    written_mb: float | None = Field(default=None, description="What they wrote, likewise.")


class StageOut(Out):
    """Where a stage of a job stands."""

    name: str = Field(examples=["check"])
    title: str
    sub_job: str | None = Field(default=None, description="Name of the sub-job that it is of.")
    status: StageStatus
    reason: str | None = Field(default=None, description="Why it ran, or why it did not.")
    attempt: int | None = None
    started: Moment | None = None
    seconds: float | None = None
    node: str | None = Field(default=None, description="The node of a cluster that runs it.")
    slurm_job: int | str | None = Field(
        default=None,
        description="Its number in SLURM. With the status `waiting` it waits there: see `reason`.",
    )
    used: UsedOut | None = None


class WaitingOut(Out):
    """Why a job waits."""

    position: int | None = Field(default=None, description="1 is the next of its pool.")
    code: str = Field(description="For programs.", examples=["instance_limit"])
    message: str
