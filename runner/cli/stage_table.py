"""The stages of a job as a table: where each stands, what it took, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from rich.markup import escape
from rich.table import Table

from runner.cli.display import briefly, duration, took

_COLUMNS = ("Stage", "Status", "Time", "Memory", "CPU", "Why")
_TEXTS = ("Stage", "Status", "Why")


class _Stage(Protocol):
    """A stage, of a directory or as a service tells of it."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def seconds(self) -> float | None: ...
    @property
    def used(self) -> Mapping[str, Any] | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def node(self) -> str | None: ...
    @property
    def slurm_job(self) -> int | str | None: ...


def table_of(stages: Iterable[_Stage]) -> Table:
    """Give the table."""
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in _TEXTS else "right")
    for stage in stages:
        table.add_row(*map(escape, _cells(stage)))
    return table


def _cells(stage: _Stage) -> Iterator[str]:
    memory, cpu = took(stage.used) or ("", "")
    where = f"on {stage.node}" if stage.node else ""
    where += f" (SLURM job {stage.slurm_job})" if stage.node and stage.slurm_job else ""
    yield from (stage.name, stage.status, duration(stage.seconds))
    yield from (memory, cpu.removeprefix("CPU "))
    yield ", ".join(filter(None, (briefly(stage.reason), where)))
