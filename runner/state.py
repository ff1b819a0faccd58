"""What the events say: the status of a job and of each of its stages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from runner.events import Event
from runner.jobtype import JobType


@dataclass
class StageState:
    """Where a stage stands.

    Attributes
    ----------
    status : str
        ``waiting``, ``running``, ``succeeded``, ``failed`` or ``stopped``.
    reason : str or None
        Why it ran, in Snakemake's words, or why it did not.
    attempt : int or None
        The attempt that last touched it.
    seconds : float or None
        How long it ran.
    """

    name: str
    title: str
    status: str = "waiting"
    reason: str | None = None
    attempt: int | None = None
    started: str | None = None
    seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give ``name``, ``status``, ``reason`` and ``seconds``."""
        return {key: asdict(self)[key] for key in ("name", "status", "reason", "seconds")}


class JobState:
    """The state of a job, folded from its events one by one.

    Parameters
    ----------
    job_type : JobType
        Names the stages and their order.
    events : iterable of Event
        What happened so far.
    """

    def __init__(self, job_type: JobType, events: Iterable[Event] = ()) -> None:
        self.stages = {s.name: StageState(s.name, s.title) for s in job_type.stages}
        self.status = "queued"
        self.attempt = 0
        self.error: dict[str, Any] | None = None
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Take one further event into account."""
        if event["kind"] == "status":
            self.status = event["status"]
            self.error = event.get("error")
            if self.status != "running":
                self._settle()
        elif event["kind"] == "attempt" and event.get("status") == "started":
            self.attempt = event["attempt"]
            self._begin()
        elif event["kind"] == "stage" and event.get("stage") in self.stages:
            self._apply_stage(self.stages[event["stage"]], event)

    def _begin(self) -> None:
        for stage in self.stages.values():
            if stage.status == "succeeded":
                stage.reason = f"kept from attempt {stage.attempt}"
            else:
                stage.status, stage.reason, stage.seconds = "waiting", None, None

    def _settle(self) -> None:
        for stage in self.stages.values():
            if stage.status == "running":
                stage.status = "stopped"

    def _apply_stage(self, stage: StageState, event: Event) -> None:
        stage.status, stage.attempt = event["status"], event["attempt"]
        if event["status"] == "failed" and self.status == "stopping":
            stage.status = "stopped"
        if event["status"] == "running":
            stage.reason, stage.started, stage.seconds = event.get("reason"), event["time"], None
        elif stage.started:
            stage.seconds = round(_seconds(stage.started, event["time"]), 3)


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
