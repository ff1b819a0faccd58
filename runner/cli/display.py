"""What a person sees while a job runs: a live table on a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from runner.events import Event
from runner.state import JobState, StageState

_MARKS = {
    "waiting": ("·", "dim"),
    "succeeded": ("✔", "green"),
    "failed": ("✘", "bold red"),
    "stopped": ("■", "yellow"),
}


class Display(Protocol):
    """Shows the events of a running job; used as a context manager."""

    def __enter__(self) -> Callable[[Event], None]:
        """Begin, and give what takes the events."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""


class Silent:
    """Shows nothing: for ``--json``."""

    def __init__(self, state: JobState) -> None:
        self.state = state

    def __enter__(self) -> Callable[[Event], None]:
        """Only fold the events."""
        return self.state.apply

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""


class Lines(Silent):
    """One line for each change of a stage."""

    def __init__(self, state: JobState, console: Console) -> None:
        super().__init__(state)
        self.console = console

    def __enter__(self) -> Callable[[Event], None]:
        """Print a line for each event that a person cares about."""
        return self._show

    def _show(self, event: Event) -> None:
        self.state.apply(event)
        clock = datetime.fromisoformat(event["time"]).astimezone().strftime("%H:%M:%S")
        if event["kind"] == "stage" and event["stage"] in self.state.stages:
            stage = self.state.stages[event["stage"]]
            why = briefly(stage.reason) if stage.status in ("running", "waiting") else ""
            why = f"on {stage.node}" if stage.status == "running" and stage.node else why
            more = f" ({why})" if why else ""
            if stage.seconds is not None:
                more = f" in {', '.join([duration(stage.seconds), *took(stage.used)])}"
            self._print(f"{clock} {stage.name}: {stage.status}{more}")
        elif event["kind"] == "note":
            self._print(f"{clock} {event['message']}")

    def _print(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class LiveTable(Silent):
    """A table of the stages, redrawn in place."""

    def __init__(self, state: JobState, console: Console) -> None:
        super().__init__(state)
        self.note = ""
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(
            console=console, get_renderable=self._table, refresh_per_second=8, transient=False
        )

    def __enter__(self) -> Callable[[Event], None]:
        """Start drawing."""
        self._live.__enter__()
        return self._take

    def __exit__(self, *_: object) -> None:
        """Draw a last time and leave the table on the screen."""
        self.note = ""
        self._live.__exit__(None, None, None)

    def _take(self, event: Event) -> None:
        self.state.apply(event)
        if event["kind"] == "note":
            self.note = event["message"]
        elif event["kind"] == "stage":
            self.note = ""

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for stage in self.state.stages.values():
            mark = Text(*_MARKS[stage.status]) if stage.status in _MARKS else self._spinner
            told = [*took(stage.used), f"on {stage.node}" if stage.node else briefly(stage.reason)]
            table.add_row(
                mark,
                Text(stage.title, "dim" if stage.status == "waiting" else ""),
                Text(duration(_elapsed(stage)), justify="right"),
                Text(", ".join(filter(None, told)), "dim", no_wrap=True, overflow="ellipsis"),
            )
        if self.note:
            table.add_row(self._spinner, Text(self.note, "cyan"), Text(), Text())
        return table


def _elapsed(stage: StageState) -> float | None:
    if stage.status != "running" or stage.started is None:
        return stage.seconds
    started = datetime.fromisoformat(stage.started)
    return max(0.0, time.time() - started.replace(tzinfo=started.tzinfo or UTC).timestamp())


_BRIEFLY = {
    "Missing output files": "not done yet",
    "Input files updated by another job": "its inputs are new",
    "Updated input files": "its inputs changed",
    "Set of input files has changed since last execution": "it has other inputs",
    "Forced execution": "asked for",
    "Code has changed since last execution": "its code changed",
    "Params have changed since last execution": "its parameters changed",
    "Software environment definition has changed since last execution": "its environment changed",
    "Incomplete output files": "it was cut off",
}


def briefly(reason: str | None) -> str:
    """Say in a few words why a stage runs; Snakemake's own words stay in the events."""
    first = (reason or "").split("; ")[0]
    return _BRIEFLY.get(first.split(":")[0], first)


def took(used: Mapping[str, Any] | None) -> list[str]:
    """Say what a stage used: its peak of memory, its CPU time; nothing where that is not known."""
    if not used:
        return []
    return [f"{used['peak_mb']:.0f} MB", f"CPU {duration(used['cpu_seconds'])}"]


def duration(seconds: float | None) -> str:
    """Write a time for people: ``0.4 s``, ``12 s``, ``3 min 05 s``."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
