"""What a platform would refuse in processed data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from stagekit.nearest import did_you_mean, nearest
from stagekit.problems import Problem

NAMES = ["model", "scenario", "region", "variable", "unit"]
LONGEST_NAME = 255  # characters, in ixmp4's tables
LONGEST_TEXT = 1023  # of meta indicators and their names
WHOLE_NUMBERS = range(-(2**31), 2**31)  # ixmp4 stores 32 bits
RESERVED = ("model", "scenario", "id", "version", "is_default")
SUGGESTED = 50  # names of each kind that get suggestions, which take time


def data_problems(data: pd.DataFrame) -> Iterator[Problem]:
    """Give what is wrong with the datapoints themselves."""
    if data.empty:
        yield Problem("no_data", "There are no datapoints to be stored.")
        return
    for name in NAMES:
        missing = int(data[name].isna().sum())
        if missing:
            message = f"{missing} datapoints have no {name}."
            yield Problem("missing_name", message, field=name, count=missing)
        for value in data[name].dropna().unique():
            if len(str(value)) > LONGEST_NAME:
                message = (
                    f"The {name} {str(value)[:40]!r}... has {len(str(value))} characters; at most"
                    f" {LONGEST_NAME} are stored."
                )
                yield Problem("name_too_long", message, field=name, value=str(value))
    yield from _numbers(data)
    yield from _duplicates(data)


def _numbers(data: pd.DataFrame) -> Iterator[Problem]:
    wrong = data[~data["value"].map(math.isfinite)]
    for keys, rows in wrong.groupby(NAMES[:-1], sort=False):
        values = ", ".join(sorted({str(value) for value in rows["value"]}))
        message = f"{' / '.join(keys)} has {len(rows)} values that are no numbers: {values}."
        yield Problem("not_a_number", message, field="value", value=values, count=len(rows))


def _duplicates(data: pd.DataFrame) -> Iterator[Problem]:
    keys = [name for name in data.columns if name != "value"]
    doubled = data[data.duplicated(keys, keep=False)]
    for values, rows in doubled.groupby(keys, sort=False, dropna=False):
        shown = " / ".join(str(value) for value in values if not pd.isna(value))
        message = f"Processing made {len(rows)} datapoints for {shown}; only one can be stored."
        yield Problem("duplicate", message, value=shown, count=len(rows))


def meta_problems(meta: pd.DataFrame) -> Iterator[Problem]:
    """Give the meta indicators that a platform cannot store."""
    for name in meta.columns:
        if name in NAMES[:2]:
            continue
        if name.lower() in RESERVED:
            message = f"The name {name!r} is reserved: give the meta indicator another one."
            yield Problem("illegal_meta_key", message, field=name, value=name)
        elif not name or len(name) > LONGEST_TEXT:
            message = f"The meta indicator {name[:40]!r} has {len(name)} characters in its name;"
            message += f" 1 to {LONGEST_TEXT} are stored."
            yield Problem("illegal_meta_key", message, field=name, value=name)
        rows = meta[["model", "scenario", name]].astype(object).itertuples(index=False)
        for model, scenario, value in rows:
            fault = _fault(value)
            if fault:
                message = f"The value of {name!r} for {model} / {scenario} {fault}."
                shown = str(value)[:200]
                yield Problem("illegal_meta_value", message, field=name, value=shown)


def _fault(value: Any) -> str | None:  # noqa: PLR0911
    if isinstance(value, (list, tuple, dict)) or (hasattr(value, "__array__") and value.ndim):
        return "is a list, which cannot be stored"
    if pd.isna(value):
        return None
    if isinstance(value, str):
        long = len(value) > LONGEST_TEXT
        return f"has {len(value)} characters; at most {LONGEST_TEXT} are stored" if long else None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        fits = value in WHOLE_NUMBERS
        return None if fits else "is too large: whole numbers are stored with 32 bits"
    if isinstance(value, float):
        return None if math.isfinite(value) else "is infinite"
    return f"is a {type(value).__name__}; only text, numbers and true or false can be stored"


def unknown_names(
    data: pd.DataFrame, field: str, unknown: Sequence[str], known: Collection[str]
) -> Iterator[Problem]:
    """Give a problem for each of the `unknown` regions or units."""
    counts = data[field].value_counts()
    for number, name in enumerate(unknown):
        near = tuple(nearest(name, sorted(known))) if number < SUGGESTED else ()
        message = f"The {field} {name!r} does not exist on the platform.{did_you_mean(near)}"
        yield Problem(
            f"unknown_{field}",
            message,
            field=field,
            value=name,
            suggestions=near,
            count=int(counts[name]),
        )


def in_file(problem: Problem, where: Mapping[str, Any]) -> Problem:
    """Say in which file the data were that led to a problem."""
    return dataclasses.replace(problem, file=where.get("file"))
