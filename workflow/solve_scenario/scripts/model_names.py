"""Which parts of a model are stored as which items, found out before anything is solved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stagekit.nearest import nearest
from stagekit.problems import Problem, StageError

LISTED = 10  # problems in a message
OBJECTIVE = "objective"  # the name of the objective in a plug-in's RESULTS
Part = Mapping[str, Sequence[Any]]  # elements by dimension


def targets_of(parts: Mapping[str, Any], items: Mapping[str, Any], plugin: Any) -> dict[str, Any]:
    """Say where the parts of a model are stored.

    Parameters
    ----------
    parts : dict
        For ``variables`` and ``equations``, by name, the elements by dimension.
    items : dict
        The document of the stage load.
    plugin : Plugin

    Raises
    ------
    StageError
        ``wrong_names``, with all problems.
    """
    results, dimensions = plugin.setting("RESULTS"), plugin.setting("DIMENSIONS")
    found: dict[str, Any] = {"objective": results.get(OBJECTIVE)}
    wrong: list[Problem] = []
    for kind, of_kind in parts.items():
        found[kind], more = targets(kind, of_kind, items, results, dimensions)
        wrong += more
    wrong += _objective_problems(found, items)
    wrong += unknown_results(results, [name for of_kind in parts.values() for name in of_kind])
    if wrong:
        lines = [_line(problem) for problem in wrong[:LISTED]]
        lines += [f"… and {len(wrong) - LISTED} more"] if len(wrong) > LISTED else []
        listed = "\n".join(f"- {line}" for line in lines)
        raise StageError(
            "wrong_names", f"The solution of {plugin.name} could not be stored:\n{listed}", wrong
        )
    return found


def _line(problem: Problem) -> str:
    near = ", ".join(problem.suggestions)
    return f"{problem.message} (nearest: {near})" if near else problem.message


def targets(
    kind: str,
    parts: Mapping[str, Part],
    items: Mapping[str, Any],
    results: Mapping[str, str | None],
    dimensions: Mapping[str, str],
) -> tuple[dict[str, Any], list[Problem]]:
    """Say where each variable or constraint of a model goes.

    Parameters
    ----------
    kind : {"variables", "equations"}
        Which items these are on the platform.
    parts : mapping
        By name in the model, the elements by dimension.
    items : mapping
        The document of the stage load.
    results : mapping
        The plug-in's ``RESULTS``: names on the platform, None for what is not stored.
    dimensions : mapping
        The plug-in's ``DIMENSIONS``: index sets of dimensions that are called otherwise.

    Returns
    -------
    tuple
        By name in the model ``name``, ``columns``, ``indexsets`` and ``new`` (whether the item has
        to be created), and the problems.
    """
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for part, elements in parts.items():
        name = results.get(part, part)
        if name is None:
            continue
        item = items[kind].get(name)
        wrong = list(_dimension_problems(part, elements, items, item, dimensions))
        problems += wrong
        if wrong:
            continue
        found[part] = {
            "name": name,
            "columns": item["columns"] if item else list(elements),
            "indexsets": item["indexsets"] if item else [dimensions.get(d, d) for d in elements],
            "new": item is None,
        }
    return found, [*problems, *_doubled(found, kind)]


def _doubled(found: Mapping[str, Any], kind: str) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for part, target in found.items():
        other = owners.setdefault(target["name"], part)
        if other != part:
            yield Problem(
                "doubled_result",
                f"{other!r} and {part!r} of the model would both be stored as {target['name']!r} of"
                f" the {kind}. Give one of them another name in RESULTS.",
                field=part,
            )


def _objective_problems(found: Mapping[str, Any], items: Mapping[str, Any]) -> Iterator[Problem]:
    name = found["objective"]
    item = items["variables"].get(name)
    taken = name in {target["name"] for target in found["variables"].values()}
    if name and (taken or (item and item["columns"])):
        yield Problem(
            "wrong_objective",
            f"RESULTS stores the objective as the variable {name!r}, which is"
            f" {'also a variable of the model' if taken else 'indexed on the platform'}. Give it"
            " another name.",
            field=OBJECTIVE, value=name,
        )  # fmt: skip


def unknown_results(results: Mapping[str, str | None], parts: Sequence[str]) -> Iterator[Problem]:
    """Give a problem for each name in ``RESULTS`` that the model does not have."""
    for name in results:
        if name not in parts and name != OBJECTIVE:
            yield Problem(
                "unknown_result",
                f"RESULTS names {name!r}, which the model has neither as a variable nor as a"
                " constraint.",
                field=name, value=name, suggestions=tuple(nearest(name, parts)),
            )  # fmt: skip


def _dimension_problems(
    part: str, elements: Part, items: Mapping[str, Any], item: Any, dimensions: Mapping[str, str]
) -> Iterator[Problem]:
    known = items["indexsets"]
    if item and set(item["columns"]) != set(elements):
        yield Problem(
            "other_dimensions",
            f"{part!r} of the model has the dimensions {_listed(elements)}, but the item of the"
            f" platform has the columns {_listed(item['columns'])}.",
            field=part,
        )
        return
    named = dict(zip(item["columns"], item["indexsets"], strict=True)) if item else {}
    for dimension, values in elements.items():
        indexset = named.get(dimension) or dimensions.get(dimension, dimension)
        if indexset not in known:
            yield Problem(
                "unknown_indexset",
                f"The dimension {dimension!r} of {part!r} is no index set of the scenario. Name the"
                " dimension like the index set, say in DIMENSIONS which one it is, or set"
                f" RESULTS[{part!r}] = None if it is not to be stored.",
                field=part, value=dimension, suggestions=tuple(nearest(indexset, list(known))),
            )  # fmt: skip
            continue
        elements_known = {str(value) for value in known[indexset]}
        unknown = [str(value) for value in values if str(value) not in elements_known]
        if unknown:
            yield Problem(
                "unknown_element",
                f"{part!r} has {', '.join(repr(value) for value in unknown[:5])} in the dimension"
                f" {dimension!r}, which the index set {indexset!r} does not have.",
                field=part, value=unknown[0], count=len(unknown),
                suggestions=tuple(nearest(unknown[0], sorted(elements_known))),
            )  # fmt: skip


def _listed(names: Sequence[str] | Part) -> str:
    return ", ".join(names) or "none"
