"""Models of what is submitted, changed and asked for, and of the answers to that."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from webapp.api.schemas import In, JobOut, Name, Out, Priority, Tags
from webapp.notify import rules


def _address(text: str) -> str:
    if not rules.is_address(text):
        raise ValueError("is no e-mail address that mail can be sent to")
    return text


_ADDRESS = {
    "type": "string",
    "format": "email",
    "pattern": rules.ADDRESS,
    "maxLength": rules.LONGEST_ADDRESS,
}
Address = Annotated[str, AfterValidator(_address), WithJsonSchema(_ADDRESS)]
Notify = Annotated[
    list[Address], Field(max_length=50, description="E-mail addresses of who is told of the end.")
]
End = Literal["succeeded", "failed", "cancelled"]


class JobIn(In):
    """A job to be run. Its files are further parts of the form, each named as the input."""

    model_config = ConfigDict(strict=True)

    type: Name = Field(description="The job type.", examples=["import_timeseries"])
    instance: Name | None = Field(
        default=None, description="By default the token's own, else `default`."
    )
    version: Name | None = Field(
        default=None, description="By default the newest that the instance may use."
    )
    params: dict[str, Any] = Field(default={}, description="As the job type's schema says.")
    profile: Name | None = Field(
        default=None,
        description="By default what the instance names; only an operator may ask for another.",
    )
    priority: Priority = Field(
        default=0, description="Higher goes first; submitters up to the instance's max_priority."
    )
    tags: Tags = Field(default=[])
    notify: Notify = Field(default=[])
    notify_on: Annotated[list[End], Field(max_length=3)] = Field(
        default=["succeeded", "failed"],
        description="The ends that they are told of. Of a job that somebody else than its user "
        "cancelled they are always told.",
    )


class PlanQuery(In):
    """Whether to run the job, or only to tell what would run."""

    plan: bool = Field(default=False, description="Answer what would run, and queue nothing.")


class SubmittedOut(JobOut):
    """The job that was accepted."""

    warnings: list[str] = Field(default=[], description="What the submitter should know.")


class PlannedStageOut(Out):
    """Whether a stage would run, and why."""

    name: str
    title: str
    runs: bool
    reason: str


class PlanOut(Out):
    """What would run, had it been asked for."""

    type: str
    version: str
    instance: str
    profile: str
    stages: list[PlannedStageOut]
    warnings: list[str]


class RerunIn(In):
    """What to run again; without a stage the job goes on from the results that it has.

    Of a sub-job it runs that one alone, and what it needs.
    """

    model_config = ConfigDict(strict=True)

    stage: Name | None = Field(
        default=None, description="Run this stage again even if nothing changed."
    )
    only: bool = Field(default=False, description="With `stage`: not what depends on it.")


class ResubmitIn(In):
    """What shall be different in the new job."""

    model_config = ConfigDict(strict=True)

    params: dict[str, Any] = Field(
        default={}, description="Replaces single parameters; null takes one back to its default."
    )
    version: Name | None = Field(
        default=None, description="By default the newest that the instance may use."
    )


class ChangeIn(In):
    """What to change of a job; what is left out or null stays."""

    model_config = ConfigDict(strict=True)

    priority: Priority | None = None
    tags: Tags | None = Field(default=None, description="Replace those that it has.")
    pinned: bool | None = Field(default=None, description="Kept by retention; for operators.")
