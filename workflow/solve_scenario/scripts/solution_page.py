"""From figures to the page: what each part of the report shows, and how much of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from solution_charts import charts
from solution_figures import Solution
from solution_words import amount, duration
from stagekit.pages import templates

HERE = Path(__file__).resolve().parent
PRICES = 20  # rows of the table; solution.csv has all


def page(found: Solution, figures: dict[str, Any]) -> str:
    """Give the report.

    Parameters
    ----------
    found : Solution
        What was solved and stored.
    figures : dict
        ``summary.json``.
    """
    environment = templates(HERE, amount=amount, duration=duration)
    prices = found.prices
    largest = max((abs(price.marginal) for price in prices), default=1.0)
    return environment.get_template("solution.html.j2").render(
        figures=figures,
        about=found.about,
        stored=found.stored,
        model=found.model,
        job=found.job,
        run=found.items["run"],
        facts=_facts(found),
        charts=charts(found.parts),
        prices=[(price, abs(price.marginal) / largest) for price in prices[:PRICES]],
        price_count=len(prices),
        variables=[part for part in found.parts if part.kind == "variables"],
        equations=[part for part in found.parts if part.kind == "equations"],
        gap=_gap(found.about["gap"]),
        limits=_limits(found.job.get("params") or {}),
    )


def _facts(found: Solution) -> list[tuple[str, str]]:
    job = found.job
    submitted = job.get("submitted") or {}
    facts = [("Job", str(job.get("id", ""))), ("Model plug-in", str(found.model["plugin"]))]
    if submitted.get("by"):
        facts.append(("Submitted by", str(submitted["by"])))
    if submitted.get("at"):
        facts.append(("Submitted", _moment(submitted["at"])))
    release = job.get("release") or {}
    return [*facts, *([("Release", str(release["label"]))] if release.get("label") else [])]


def _moment(value: Any) -> str:
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return str(value)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        value = value.astimezone(dt.UTC)
    return f"{value.day} {value:%B %Y, %H:%M} UTC" if isinstance(value, dt.datetime) else str(value)


def _gap(gap: float | None) -> str:
    if gap is None:
        return "\u2013"
    return "0" if gap == 0 else f"{gap:.3%}"


def _limits(params: dict[str, Any]) -> list[tuple[str, str]]:
    """Give what the job allowed the solver, and its options."""
    found = []
    if "time_limit" in params:
        found.append(("Time limit", duration(float(params["time_limit"]))))
    if "threads" in params:
        found.append(("Threads", amount(params["threads"])))
    if "mem_mb" in params:
        found.append(("Memory limit", f"{amount(params['mem_mb'])} MB"))
    options = params.get("solver_options") or {}
    return [*found, *((f"Option {name}", str(value)) for name, value in options.items())]
