"""Which run of the platform each row of the file means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from meta_platform import Run
from meta_submission import Row, Submission
from stagekit.nearest import did_you_mean, nearest
from stagekit.problems import Problem

SUGGESTED = 50  # names that get suggestions, which take time


@dataclass
class Targets:
    """The runs that a file is about.

    Attributes
    ----------
    runs : dict
        The run of each row, by the row's number.
    unknown : list of dict
        Rows without one: ``row``, ``model``, ``scenario``, ``version``, ``suggestions``.
    problems : list of Problem
    """

    runs: dict[int, Run] = field(default_factory=dict)
    unknown: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class _Known:
    """The runs of a platform by their names."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.pairs: defaultdict[tuple[str, str], list[Run]] = defaultdict(list)
        self.scenarios: defaultdict[str, set[str]] = defaultdict(set)  # of each model
        self.models: defaultdict[str, set[str]] = defaultdict(set)  # of each scenario
        for run in runs:
            self.pairs[run.model, run.scenario].append(run)
            self.scenarios[run.model].add(run.scenario)
            self.models[run.scenario].add(run.model)


def find(submission: Submission, runs: Sequence[Run], skip: bool = False) -> Targets:
    """Find the run of each row.

    Parameters
    ----------
    submission : Submission
    runs : sequence of Run
        All runs of the platform.
    skip : bool
        Rows without a run are warnings, and left out.

    Returns
    -------
    Targets
        With problems ``unknown_model``, ``unknown_scenario``, ``unknown_version``,
        ``no_default_version`` and ``duplicate_meta``.
    """
    known, found = _Known(runs), Targets()
    missing: dict[str, list[Row]] = {}
    for row in submission.rows:
        model, scenario = str(row.model), str(row.scenario)
        versions = known.pairs.get((model, scenario))
        if versions is None and model not in known.scenarios:
            missing.setdefault(model, []).append(row)
        elif versions is None:
            _unknown_scenario(submission, found, known, row)
        elif run := _chosen(versions, row):
            found.runs[row.number] = run
        else:
            _unknown_version(submission, found, versions, row)
    for model, rows in missing.items():
        _unknown_model(submission, found, known, model, rows)
    if skip:
        found.problems = [replace(p, severity="warning") for p in found.problems]
    _same_run(submission, found)
    return found


def _chosen(versions: Sequence[Run], row: Row) -> Run | None:
    if row.version is None:
        return next((run for run in versions if run.is_default), None)
    return next((run for run in versions if run.version == int(str(row.version))), None)


def _note(found: Targets, row: Row, near: Sequence[str]) -> None:
    version = int(row.version) if row.version else None
    found.unknown.append(
        {"row": row.number, "model": row.model, "scenario": row.scenario, "version": version,
         "suggestions": list(near)}
    )  # fmt: skip


def _unknown_model(
    submission: Submission, found: Targets, known: _Known, model: str, rows: list[Row]
) -> None:
    near = nearest(model, sorted(known.scenarios)) if len(found.unknown) < SUGGESTED else []
    for row in rows:
        _note(found, row, near)
    text = f"The platform has no model {model!r}.{did_you_mean(near)}"
    if not known.scenarios:
        text = f"The platform has no model {model!r}: it has no scenario at all."
    numbers = [row.number for row in rows]
    found.problems.append(submission.problem("unknown_model", text, numbers, "model", model, near))


def _unknown_scenario(submission: Submission, found: Targets, known: _Known, row: Row) -> None:
    near: list[str] = []
    scenario = str(row.scenario)
    if len(found.unknown) < SUGGESTED:
        near = nearest(scenario, sorted(known.scenarios[str(row.model)]))
    text = f"The platform has no scenario {scenario!r} of {row.model!r}.{did_you_mean(near)}"
    if others := sorted(known.models.get(scenario, ())):
        text += f" {', '.join(repr(name) for name in others[:3])} has it."
    _note(found, row, near)
    problem = submission.problem("unknown_scenario", text, [row.number], "scenario", scenario, near)
    found.problems.append(problem)


def _unknown_version(
    submission: Submission, found: Targets, versions: Sequence[Run], row: Row
) -> None:
    there = [str(run.version) for run in versions]
    default = next((str(run.version) for run in versions if run.is_default), None)
    listed = ", ".join(n + (" (the default)" if n == default else "") for n in there[-20:])
    code, text = "unknown_version", f"{row.shown} does not exist; there are: {listed}."
    if row.version is None:
        code = "no_default_version"
        text = f"{row.shown} has no default version: write which one you mean, of {listed}."
    _note(found, row, there[-3:])
    problem = submission.problem(code, text, [row.number], "version", row.version, there[-3:])
    found.problems.append(problem)


def _same_run(submission: Submission, found: Targets) -> None:
    """Find a run that is named twice: with its version, and as the default one."""
    rows: defaultdict[Run, list[Row]] = defaultdict(list)
    for row in submission.rows:
        if row.number in found.runs:
            rows[found.runs[row.number]].append(row)
    for run, named in rows.items():
        if len({row.version for row in named}) > 1:
            shown = f"{run.model} / {run.scenario}"
            text = (
                f"{shown} stands in several rows that mean the same version, {run.version}, which"
                " is the default one: keep one."
            )
            numbers = [row.number for row in named]
            problem = submission.problem("duplicate_meta", text, numbers, value=shown)
            found.problems.append(problem)
