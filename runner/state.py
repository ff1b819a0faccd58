"""What the events say: the status of a job and of each of its stages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from runner.events import Event
from runner.jobtype import JobType

_SHOWN = ("name", "status", "reason", "seconds", "used", "node", "slurm_job")


@dataclass
class StageState:
    """Where a stage stands.

    Attributes
    ----------
    status : str
        ``waiting``, ``running``, ``succeeded``, ``failed`` or ``stopped``.
    reason : str or None
        Why it ran, in Snakemake's words, or why it did not; what it waits for.
    attempt : int or None
        The attempt that last touched it.
    seconds : float or None
        How long it ran.
    used : dict or None
        What it used: ``runs``, ``seconds``, ``cpu_seconds``, ``peak_mb`` (2²⁰ bytes), ``read_mb``
        and ``written_mb`` (10⁶ bytes).
    node, slurm_job : str or int or None
        Where in a cluster it ran last.
    """

    name: str
    title: str
    status: str = "waiting"
    reason: str | None = None
    attempt: int | None = None
    started: str | None = None
    seconds: float | None = None
    used: dict[str, Any] | None = None
    node: str | None = None
    slurm_job: int | str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give what people ask: all but ``title``, ``attempt`` and ``started``."""
        return {key: asdict(self)[key] for key in _SHOWN}

    def reset(self) -> None:
        """Let it wait, as if it had never run."""
        self.status, self.reason, self.seconds = "waiting", None, None
        self.used = self.node = self.slurm_job = None


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
                stage.reset()

    def _settle(self) -> None:
        for stage in self.stages.values():
            if stage.status == "running":
                stage.status = "stopped"
            elif stage.status == "waiting":
                stage.reason = None  # it waits for nothing any more

    def _apply_stage(self, stage: StageState, event: Event) -> None:
        stage.status, stage.attempt = event["status"], event["attempt"]
        if event["status"] == "failed" and self.status == "stopping":
            stage.status = "stopped"
        stage.node = event.get("node", stage.node)
        stage.slurm_job = event.get("slurm_job", stage.slurm_job)
        if event["status"] in ("running", "waiting"):
            stage.reason, stage.seconds, stage.used = event.get("reason"), None, None
            stage.started = event["time"] if event["status"] == "running" else None
        else:
            stage.used = event.get("used")
            if stage.started:
                stage.seconds = round(_seconds(stage.started, event["time"]), 3)


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
