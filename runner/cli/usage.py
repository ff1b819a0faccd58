"""``jobrunner types --usage``: resources for job types, from what past jobs used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from runner import usage
from runner.cli import document
from runner.home import Home
from runner.usage import StageUsage

_NOTE = (
    f"{usage.PERCENTILE}th percentiles of the attempts in which a stage came to its end, of the "
    "longest and the largest run of its rule. Proposed:\nmemory with "
    f"{usage.MEMORY_MARGIN - 1:.0%} more, in steps of {usage.MEMORY_STEP} MB; runtime "
    f"{usage.RUNTIME_MARGIN} times as long, at least {usage.SHORTEST} minutes; of a limit that was "
    "too small\nlikewise, if that is more; cores as many as were busy. A few jobs say little about "
    "the next."
)


def show(home: Home, type_name: str | None, as_json: bool) -> None:
    """Print what the stages of job types used, and the resources that this proposes.

    Parameters
    ----------
    home : Home
        Of the jobs that are looked at.
    type_name : str or None
        One job type, or all.
    as_json : bool
        One JSON document in place of a table and YAML.
    """
    found = usage.collect(home, type_name)
    known = {name: _in_order(home, name, found[name].values()) for name in sorted(found)}
    if as_json:
        document.show({name: [_of(stage) for stage in stages] for name, stages in known.items()})
        return
    if not any(known.values()):
        of = f" of {type_name}" if type_name else ""
        click.echo(f"No job{of} in {home.jobs} has noted down what its stages used.")
        return
    console = Console(highlight=False)
    for name, stages in known.items():
        _show(console, name, stages)
    click.echo(_NOTE)


def _in_order(home: Home, name: str, stages: Iterable[StageUsage]) -> list[StageUsage]:
    """Sort stages as people read them; those of old versions follow."""
    known: list[str] = []
    for release in home.releases.all():
        if name in release.type_names():
            known = release.job_type(name).stage_names
    return sorted(stages, key=lambda s: known.index(s.stage) if s.stage in known else 999)


def _of(stage: StageUsage) -> dict[str, Any]:
    return {
        "stage": stage.stage,
        "jobs": len(stage.jobs),
        "attempts": len(stage.memory),
        "out_of_memory": len(stage.too_small["mem_mb"]),
        "time_limit": len(stage.too_small["runtime"]),
        "measured": stage.measured() if stage.memory else None,
        "proposed": stage.proposed() if stage.memory else None,
    }


def _show(console: Console, name: str, stages: list[StageUsage]) -> None:
    table = Table(title=name, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("Stage")
    for title in ("Jobs", "Memory", "Cores", "Minutes", "Out of memory", "Out of time"):
        table.add_column(title, justify="right")
    for stage in stages:
        told = stage.measured()
        figures = (f"{told['mem_mb']:.0f} MB", f"{told['cores']:.2f}", f"{told['runtime']:.1f}")
        shown = figures if stage.memory else ("", "", "")
        ended = (str(len(limits) or "") for limits in stage.too_small.values())
        table.add_row(stage.stage, str(len(stage.jobs)), *shown, *ended)
    console.print(table)
    proposals = {s.stage: _flow(s.proposed()) for s in stages if s.memory}
    if proposals:
        click.echo("\n# jobtype.yaml, stages:")
        for stage_name, text in proposals.items():
            click.echo(f"  {stage_name}: {{title: …, resources: {text}}}")
        click.echo("\n# or in a profile:")
        click.echo(f"types:\n  {name}:\n    stages:")
        for stage_name, text in proposals.items():
            click.echo(f"      {stage_name}: {text}")
    click.echo()


def _flow(resources: dict[str, int]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in resources.items()) + "}"
