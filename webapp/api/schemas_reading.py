"""Models of what is asked of jobs, and of the answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import has_request_context, request
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema

from webapp import listing
from webapp.api.schemas import (
    ArtifactOut,
    EventOut,
    In,
    JobOut,
    Name,
    Out,
    Status,
    Text,
)
from webapp.api.strict import LARGEST
from webapp.models import JobEvent


def _every(name: str) -> BeforeValidator:
    """Take each of repeated query parameters (APIFlask hands over the first), or ``a,b``."""

    def read(given: Any) -> Any:
        if has_request_context() and name in request.args:
            given = ",".join(request.args.getlist(name))
        return given.split(",") if isinstance(given, str) else given

    return BeforeValidator(read)


Time = Annotated[
    str,
    AfterValidator(listing.moment),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}),
]
_AFTER = "At or after this time (RFC 3339; a date means its midnight in UTC)."
_BEFORE = "Before this time."
Sort = Literal[
    "submitted", "-submitted", "started", "-started",
    "finished", "-finished", "priority", "-priority",
]  # fmt: skip


Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Message = Annotated[str, Field(min_length=1, max_length=10_000)]


class ListIn(In):
    """Which jobs, in which order."""

    type: Name | None = Field(default=None, description="Of this job type.")
    version: Name | None = Field(default=None, description="That run this version.")
    status: Annotated[list[Status], Field(max_length=12), _every("status")] = Field(
        default=[], description="One of these; several by repeating it, or separated by commas."
    )
    user: Name | None = Field(default=None, description="Of this user.")
    instance: Name | None = Field(default=None, description="Of this instance.")
    tag: Name | None = Field(default=None, description="With this tag.")
    parent: Name | None = Field(default=None, description="Sub-jobs of this job.")
    sub_jobs: bool = Field(
        default=True,
        description="Whether sub-jobs are listed, too: each is a job of its own type.",
    )
    text: Text | None = Field(
        default=None,
        description="Words; each must be the beginning of a word of the job: of its id, type, "
        "user, tags, names of input files.",
    )
    submitted_after: Time | None = Field(default=None, description=_AFTER)
    submitted_before: Time | None = Field(default=None, description=_BEFORE)
    started_after: Time | None = Field(default=None, description=_AFTER)
    started_before: Time | None = Field(default=None, description=_BEFORE)
    finished_after: Time | None = Field(default=None, description=_AFTER)
    finished_before: Time | None = Field(default=None, description=_BEFORE)
    sort: Sort = Field(
        default="-submitted",
        description="A leading - means: largest or newest first. Jobs that have not started (or "
        "finished) sort as the oldest.",
    )
    cursor: Annotated[str, Field(max_length=500)] | None = Field(
        default=None, description="`next` of the page before; with the same `sort`."
    )
    limit: Annotated[int, Field(ge=1, le=500)] = Field(
        default=50, description="Jobs on a page; an export has no pages."
    )
    format: Literal["json", "ndjson"] | None = Field(
        default=None,
        description="ndjson: all jobs from `cursor` on, one a line; as does `Accept: "
        "application/x-ndjson`.",
    )


class ListOut(Out):
    """A page of a list of jobs."""

    items: list[JobOut]
    next: str | None = Field(description="`cursor` of the next page; null: this is the last.")
    counts: dict[str, int] | None = Field(
        description="How many jobs there are in each status, whatever the filter `status` says. "
        "Null if it would take looking at more than 1000 jobs; filters by instance and type alone "
        "are always counted."
    )


class EventsIn(In):
    """From which event on."""

    since: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        default=0, description="Number of the last event that is known already."
    )
    limit: Annotated[int, Field(ge=1, le=1000)] = Field(default=500, description="Events, at most.")


class EventsOut(Out):
    """Events of a job."""

    items: list[EventOut]
    next: int = Field(description="`since` for the events that come after these.")
    more: bool = Field(description="Whether some of these are there already.")


class ErrorIn(In):
    """Why a job failed, in the shape that every failed job has."""

    model_config = ConfigDict(strict=True)

    code: Name
    message: Message
    stage: Name | None = None
    problems: Annotated[list[dict[str, Any]], Field(max_length=1000)] = Field(default=[])


class EventIn(In):
    """What a worker elsewhere says of a job."""

    model_config = ConfigDict(strict=True)

    kind: Literal["status", "progress", "note"]
    time: Time | None = Field(default=None, description="When it happened; now by default.")
    status: Literal["running", "queued", "succeeded", "failed", "cancelled"] | None = Field(
        default=None, description="Of a status event."
    )
    error: ErrorIn | None = Field(default=None, description="Why it failed.")
    done: Count | None = Field(default=None, description="Of a progress event: parts done.")
    total: Count | None = Field(default=None, description="Of a progress event: parts in all.")
    message: Message | None = Field(
        default=None, description="Of a note; of others, if there is more to say."
    )


def event_out(event: JobEvent) -> EventOut:
    """Give an event as the directory has it."""
    own = {name: getattr(event, name) for name in ("n", "time", "kind", "source", "attempt")}
    return EventOut(**{**event.data, **own})


class FileIn(In):
    """How to fetch a file."""

    download: bool = Field(default=False, description="To be saved, whatever kind it is.")


class FileOut(Out):
    """A file that can be fetched."""

    path: str = Field(examples=["logs/job.log"])
    bytes: int
    url: str


class FilesOut(Out):
    """The files of a job."""

    items: list[ArtifactOut] = Field(
        description="Results, as the last attempt left them; those of sub-jobs with them."
    )
    others: list[FileOut] = Field(description="The request, inputs and logs, as they are now.")
    zip: str = Field(description="URL of a zip of all.")


class LogIn(In):
    """Which log, and whether to go on with it."""

    stage: Name | None = Field(
        default=None, description="The log of this stage; by default that of the whole job."
    )
    follow: bool = Field(default=False, description="Answer a stream, as the log is written.")
    offset: Annotated[int, Field(ge=0, le=LARGEST)] = Field(
        default=0, description="Byte from which to follow."
    )


class LogOut(Out):
    """What was appended."""

    bytes: int = Field(description="Appended now.")
    size: int = Field(description="Of the whole log, in bytes.")
