"""What of a platform a snapshot is about: patterns and runs, resolved on the small tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from stagekit.nearest import did_you_mean, nearest
from stagekit.problems import Problem, StageError

FILTERS = ("model", "scenario", "region", "variable")
SUGGESTED = 50  # names that get suggestions, which take time


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes
    ----------
    filters : mapping of str to sequence of str
        Patterns by dimension; ``*`` stands for any characters.
    versions : {"default", "all"}
        Which versions of a scenario.
    runs : list of tuple or None
        Only these: model, scenario and version (None: the default one). `versions` does not
        matter then.
    """

    filters: Mapping[str, Sequence[str]]
    versions: str
    runs: list[tuple[str, str, int | None]] | None = None


def as_lists(filters: Mapping[str, str | Sequence[str]]) -> dict[str, list[str]]:
    """Give the patterns of each dimension as a list."""
    return {
        name: [value] if isinstance(value, str) else list(value) for name, value in filters.items()
    }


def matching(names: pl.Series, patterns: Sequence[str]) -> pl.Series:
    """Tell which names match one of the patterns, whole and in their case.

    Parameters
    ----------
    names : polars.Series
        Text.
    patterns : sequence of str
        As in pyam: ``*`` stands for any characters, everything else for itself.
    """
    found = names.is_in([pattern for pattern in patterns if "*" not in pattern])
    wild = "|".join(f"(?:{_expression(pattern)})" for pattern in patterns if "*" in pattern)
    return found | names.str.contains(f"^(?:{wild})$") if wild else found


def _expression(pattern: str) -> str:
    return "(?s:.*)".join(re.escape(part) for part in pattern.split("*"))


def unmatched(
    filters: Mapping[str, Sequence[str]], names: Mapping[str, pl.Series]
) -> Iterator[Problem]:
    """Give a problem for each pattern that nothing on the platform matches."""
    for field, patterns in filters.items():
        known = names[field].unique()
        for pattern in patterns:
            if matching(known, [pattern]).any():
                continue
            near = nearest(pattern.replace("*", ""), known.to_list())
            message = f"No {field} on the platform matches {pattern!r}.{did_you_mean(near)}"
            yield Problem("no_match", message, field=field, value=pattern, suggestions=tuple(near))


def choose_runs(runs: pl.DataFrame, wanted: Wanted) -> tuple[pl.DataFrame, list[Problem]]:
    """Give the runs that are wanted, and what was asked for and is not there.

    Parameters
    ----------
    runs : polars.DataFrame
        All of the platform: id, model, scenario, version, is_default.
    wanted : Wanted
        What is asked for.
    """
    problems: list[Problem] = []
    chosen = runs
    if wanted.runs is not None:
        chosen, problems = _given(runs, wanted.runs)
    elif wanted.versions == "default":
        chosen = runs.filter("is_default")
    for field in ("model", "scenario"):
        if field in wanted.filters:
            chosen = chosen.filter(matching(chosen[field], wanted.filters[field]))
    return chosen, problems


def _given(
    runs: pl.DataFrame, given: Sequence[tuple[str, str, int | None]]
) -> tuple[pl.DataFrame, list[Problem]]:
    keys = ("model", "scenario", "version")
    known = {tuple(row[:3]): row[3] for row in runs.select(*keys, "id").iter_rows()}
    default = runs.filter("is_default").select(*keys, "id")
    defaults = {tuple(row[:2]): row[3] for row in default.iter_rows()}
    pairs = sorted({f"{model} / {scenario}" for model, scenario, _ in known})
    found: list[int] = []
    problems: list[Problem] = []
    for model, scenario, version in given:
        pair = (model, scenario)
        number = defaults.get(pair) if version is None else known.get((*pair, version))
        if number is not None:
            found.append(number)
            continue
        name = f"{model} / {scenario}"
        which = "default version" if version is None else f"version {version}"
        near = nearest(name, pairs) if name not in pairs and len(problems) < SUGGESTED else []
        message = f"The platform has no {which} of {name}.{did_you_mean(near)}"
        problems.append(
            Problem("unknown_run", message, field="runs", value=name, suggestions=tuple(near))
        )
    return runs.filter(pl.col("id").is_in(found)), problems


def read_runs(path: Path) -> list[tuple[str, str, int | None]]:
    """Read which runs are wanted: ``{"runs": [{"model": …, "scenario": …, "version": …}]}``.

    Raises
    ------
    StageError
        ``wrong_runs_file`` with the place of what is wrong in it.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise StageError("wrong_runs_file", f"{path.name} is no text in UTF-8.") from error
    except json.JSONDecodeError as error:
        raise StageError(
            "wrong_runs_file",
            f"{path.name} is no JSON: {error.msg}, line {error.lineno}, column {error.colno}.",
        ) from error
    rows = document.get("runs") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not rows:
        raise StageError(
            "wrong_runs_file",
            f'{path.name} has no list of runs: {{"runs": [{{"model": "…", "scenario": "…",'
            ' "version": 1}]} is expected, as in import.json of an import.',
        )
    wrong = [problem for number, row in enumerate(rows) if (problem := _wrong(path, number, row))]
    if wrong:
        lines = "\n".join(f"- {problem.message}" for problem in wrong[:10])
        raise StageError("wrong_runs_file", f"{path.name} has wrong entries:\n{lines}", wrong)
    return [(row["model"], row["scenario"], row.get("version")) for row in rows]


def _wrong(path: Path, number: int, row: Any) -> Problem | None:
    place = f"/runs/{number}"
    if not isinstance(row, dict):
        message = f"{place} is no object with model, scenario and version."
    elif missing := [k for k in ("model", "scenario") if not isinstance(row.get(k), str)]:
        message = f"{place} has no text for {' and '.join(missing)}."
    elif type(row.get("version", 1)) is not int:
        message = f"{place}/version is no whole number."
    else:
        return None
    return Problem("wrong_run", message, file=path.name, field="runs", value=place)
