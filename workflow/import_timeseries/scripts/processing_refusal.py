"""All that a processing repository refuses in the data, and where it stands in the file.

nomenclature stops at the first kind of mistake. Only after it refused, its checks are run here
once more, each by itself and on the very objects that it used, which the traceback still holds:
the repository's own refusal stays the judge.

Runs in the processing repository's environment: Python 3.9, nomenclature 0.8 or newer.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyam
from processing_data import Source
from processing_entry import EntryFailed, said
from stagekit.nearest import did_you_mean, nearest
from stagekit.problems import Problem, ranges

SUGGESTED = 50  # unknown names of each kind that get suggestions, which take time


class Context:
    """What nomenclature was doing when it refused.

    Attributes
    ----------
    df : pyam.IamDataFrame or None
        The data as they were then (workflow.py may have changed them before).
    dsd : nomenclature.DataStructureDefinition or None
        The definitions.
    dimensions : list of str
        What was to be compared with the definitions.
    processors : list
        The processors that were to run afterwards.
    flagged : list of pandas.DataFrame
        Datapoints that a data validation refused.
    """

    def __init__(self, error: BaseException) -> None:
        self.df: Any = None
        self.dsd: Any = None
        self.dimensions: list[str] | None = None
        self.processors: list[Any] = []
        self.flagged: list[Any] = []
        for frame in _frames(error):
            self._see(frame)
        if self.dimensions is None:
            self.dimensions = list(getattr(self.dsd, "dimensions", []))

    def _see(self, names: dict[str, Any]) -> None:
        if self.df is None:
            if not isinstance(names.get("df"), pyam.IamDataFrame):
                return
            self.df = names["df"]
        candidates = [names.get("dsd"), names.get("self"), names.get("processor"), names.get("p")]
        for candidate in candidates:
            if self.dsd is None and _is(candidate, "DataStructureDefinition"):
                self.dsd = candidate
            members = candidate if isinstance(candidate, list) else [candidate]
            for one in members:
                if _is(one, "RegionProcessor") and all(one is not p for p in self.processors):
                    self.processors.append(one)
        if self.dimensions is None and isinstance(names.get("dimensions"), (list, tuple)):
            self.dimensions = list(names["dimensions"])
        flagged = names.get("output_list")
        if isinstance(flagged, list) and flagged and not self.flagged:
            self.flagged = [table for table in flagged if isinstance(table, pd.DataFrame)]


def collect(failed: EntryFailed, source: Source, where: dict[str, Any]) -> list[Problem] | None:
    """Give everything that is refused, or None if the failure is no refusal of data.

    Parameters
    ----------
    failed : EntryFailed
        How the entry point failed.
    source : Source
        The submitted data.
    where : dict
        ``work/source.json``: file, sheet and column letters.
    """
    context = Context(failed.error)
    if context.df is None:
        return None
    found: list[Problem] = []
    for check in (_names, _units, _regions, _validated):
        found += [_placed(problem, keys, source, where) for problem, keys in check(context)]
    if not found and not _refuses(failed.error):
        return None
    for message in said(failed):
        # what nomenclature says beyond that stays as it says it
        if not any(problem.value and problem.value in message for problem in found):
            found.append(Problem("refused", message.strip(), file=where.get("file")))
    return found


def _refuses(error: BaseException) -> bool:
    """Tell an objection to data from a program error inside nomenclature."""
    members = getattr(error, "exceptions", None)
    if isinstance(members, (list, tuple)) and members:
        return all(_refuses(member) for member in members)
    package = type(error).__module__.partition(".")[0]
    return isinstance(error, (ValueError, SystemExit)) or package == "nomenclature"


Found = Iterator[tuple[Problem, dict[str, Any]]]


def _names(context: Context) -> Found:
    for dimension in context.dimensions or []:
        codelist = getattr(context.dsd, dimension, None)
        items = getattr(context.df, dimension, None)
        if codelist is None or not isinstance(items, list):
            continue
        for number, name in enumerate(_unknown(codelist, items)):
            suggest = number < SUGGESTED
            yield _unknown_name(dimension, name, codelist, suggest), {dimension: name}


def _units(context: Context) -> Found:
    codelist = getattr(context.dsd, "variable", None)
    if codelist is None or "variable" not in (context.dimensions or []):
        return
    for variable, units in context.df.unit_mapping.items():
        code = codelist.mapping.get(variable)
        if code is None:
            continue
        allowed = [unit or "" for unit in _as_list(code.unit)]
        for unit in _as_list(units):
            if unit not in allowed:
                expected = " or ".join(repr(a) for a in allowed)
                problem = Problem(
                    "wrong_unit",
                    f"The variable {variable!r} has the unit {unit!r}; {expected} is expected.",
                    field="unit",
                    value=str(unit),
                    suggestions=tuple(allowed),
                )
                yield problem, {"variable": variable, "unit": unit}


def _regions(context: Context) -> Found:
    for processor in context.processors:
        pairs = context.df.data[["model", "region"]].drop_duplicates()
        for model, table in pairs.groupby("model"):
            mapping = processor.mappings.get(model)
            regions = list(table["region"])
            if mapping is None:
                codelist = getattr(processor, "region_codelist", None)
                codelist = codelist or getattr(context.dsd, "region", None)
                for name in _unknown(codelist, regions) if codelist else []:
                    keys = {"region": name, "model": model}
                    yield _unknown_name("region", name, codelist), keys
                continue
            for name in regions:
                if _unexpected(mapping, model, name):
                    known = [r.name for r in mapping.native_regions or []]
                    known += [r.name for r in mapping.common_regions or []]
                    near = tuple(nearest(name, known))
                    problem = Problem(
                        "unknown_region",
                        f"The region {name!r} is not in the region mapping of the model"
                        f" {model!r}.{did_you_mean(near)}",
                        field="region",
                        value=name,
                        suggestions=near,
                    )
                    yield problem, {"region": name, "model": model}


def _validated(context: Context) -> Found:
    for table in context.flagged:
        for point in table.to_dict("records"):
            if point.get("warning_level", "error") != "error":
                continue
            keys = {n: point[n] for n in ("variable", "model", "scenario", "region")}
            time = "year" if "year" in point else "time"
            problem = Problem(
                "data_validation",
                f"{point['variable']} in {point['region']} ({point['model']},"
                f" {point['scenario']}, {point.get(time)}) is {point['value']}, which the"
                f" processing repository does not allow ({point.get('criteria', 'validation')}).",
                field=str(point.get(time)),
                value=str(point["value"]),
            )
            yield problem, {**keys, time: point.get(time)}


def _unknown_name(dimension: str, name: str, codelist: Any, suggest: bool = True) -> Problem:
    near = tuple(nearest(name, list(codelist.mapping))) if suggest else ()
    return Problem(
        f"unknown_{dimension}",
        f"The {dimension} {name!r} is not defined in the processing repository."
        f"{did_you_mean(near)}",
        field=dimension,
        value=name,
        suggestions=near,
    )


def _placed(
    problem: Problem, keys: dict[str, Any], source: Source, where: dict[str, Any]
) -> Problem:
    keys = {name: value for name, value in keys.items() if name in source.names}
    rows = source.rows(**keys)
    values = {**vars(problem), "file": where.get("file"), "sheet": where.get("sheet")}
    if rows:
        columns = where.get("columns", {})
        letter = columns.get(problem.field) or columns.get("value")
        values.update(row=rows[0], rows=ranges(rows), column=letter, count=len(rows))
    else:
        values["message"] += " It is not in the file: workflow.py made it."
    return Problem(**values)


def _unknown(codelist: Any, items: list[str]) -> list[str]:
    return list(codelist.validate_items(items) or [])


def _unexpected(mapping: Any, model: str, region: str) -> bool:
    """Ask the mapping itself whether it knows a region; the check moved between versions."""
    check = getattr(mapping, "check_unexpected_regions", None)
    stub = SimpleNamespace(region=[region], model=[model])
    try:
        if check is not None:
            check(stub)
        else:
            from nomenclature.processor import region as module

            module._check_unexpected_regions(stub, mapping)
    except ValueError:
        return True
    return False


def _frames(error: BaseException) -> Iterator[dict[str, Any]]:
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        trace = one.__traceback__
        while trace is not None:
            if str(trace.tb_frame.f_globals.get("__name__", "")).startswith("nomenclature"):
                yield trace.tb_frame.f_locals
            trace = trace.tb_next
        pending += [*getattr(one, "exceptions", ()), one.__cause__, one.__context__]


def _is(value: Any, name: str) -> bool:
    return any(base.__name__ == name for base in type(value).__mro__)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
