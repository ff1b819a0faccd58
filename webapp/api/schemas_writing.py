"""Models of what is submitted, changed and asked for, and of the answers to that."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from webapp.api.schemas import MOST, Amount, In, JobOut, Megabytes, Name, Out, Priority, Tags
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


class AmountsIn(In):
    """What something may take; what is left out is as the job type and the profile say."""

    model_config = ConfigDict(strict=True)

    cores: Amount | None = None
    mem_mb: Megabytes | None = Field(default=None, description="Memory in MB.")
    runtime: Annotated[float, Field(gt=0, le=MOST)] | None = Field(
        default=None, description="Wall time in minutes."
    )
    disk_mb: Megabytes | None = Field(default=None, description="Files that are written, in MB.")
    gpu: Amount | None = Field(default=None, description="Graphics processors.")


class ResourcesIn(AmountsIn):
    """What a job may take, as far as it shall differ from the defaults.

    Nothing may be above the limits of the instance and of the profile.
    """

    stages: Annotated[dict[Name, AmountsIn], Field(max_length=200)] = Field(
        default={}, description="The same for single stages, by their names."
    )

    def asked(self) -> dict[str, Any]:
        """Give what is asked for, and nothing else."""
        given = self.model_dump(exclude_none=True)
        stages = {name: own for name, own in given.pop("stages").items() if own}
        return {**given, **({"stages": stages} if stages else {})}


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
    resources: ResourcesIn = Field(
        default=ResourcesIn(), description="What it may take, where the defaults do not suit it."
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
    resources: ResourcesIn = Field(
        default=ResourcesIn(), description="Of this attempt, beside what was asked for of the job."
    )


class ResubmitIn(In):
    """What shall be different in the new job."""

    model_config = ConfigDict(strict=True)

    params: dict[str, Any] = Field(
        default={}, description="Replaces single parameters; null takes one back to its default."
    )
    version: Name | None = Field(
        default=None, description="By default the newest that the instance may use."
    )
    resources: ResourcesIn | None = Field(
        default=None, description="Replaces what was asked for, which is kept by default."
    )


class ChangeIn(In):
    """What to change of a job; what is left out or null stays."""

    model_config = ConfigDict(strict=True)

    priority: Priority | None = None
    tags: Tags | None = Field(default=None, description="Replace those that it has.")
    pinned: bool | None = Field(default=None, description="Kept by retention; for operators.")
