"""Writing a solution to an ixmp4 platform: a new version or the same run, in one transaction."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ixmp4
import pandas as pd
import scenario_items
from ixmp4.core.run import Run
from ixmp4.data.run.exceptions import RunIsLocked
from stagekit import runs
from stagekit.problems import StageError

KINDS = ("variables", "equations")
INDICATORS = ("objective", "solver_status")  # meta indicators that the run gets
Solution = dict[tuple[str, str], pd.DataFrame]


def read_solution(path: Path, about: Mapping[str, Any], items: Mapping[str, Any]) -> Solution:
    """Give the data of each item, by kind and name in the model, as ixmp4 wants them.

    Parameters
    ----------
    path : Path
        ``results/solution.csv``.
    about : mapping
        ``work/solution.json``.
    items : mapping
        ``work/items.json``: elements of index sets get their types back.
    """
    rows: dict[tuple[str, str], list[list[str]]] = {}
    with path.open(newline="", encoding="utf-8") as stream:
        lines = csv.reader(stream)
        next(lines)
        for kind, name, *values in lines:
            rows.setdefault((kind, name), []).append(values)
    found = {}
    for part in about["parts"]:
        key = (part["kind"], part["name"])
        target = about["store"][part["kind"]].get(part["name"])
        if target is None:
            continue
        indexsets = dict(zip(target["columns"], target["indexsets"], strict=True))
        content = rows.get(key, [])
        data: dict[str, list[Any]] = {
            "levels": [float(values[0]) for values in content],
            "marginals": [float(values[1]) for values in content],
        }
        for number, dimension in enumerate(part["dimensions"], start=2):
            elements = {str(value): value for value in items["indexsets"][indexsets[dimension]]}
            data[dimension] = [elements[values[number]] for values in content]
        found[key] = pd.DataFrame(data)
    return found


def digest(solution: Path, about: Mapping[str, Any], *settings: Any) -> str:
    """Give a digest of what is to be stored, and how."""
    hashed = hashlib.sha256(solution.read_bytes())
    stored = [about["objective"], about["status"], about["store"], *settings]
    hashed.update(json.dumps(stored, sort_keys=True).encode())
    return hashed.hexdigest()


def store(
    target: ixmp4.Platform,
    items: Mapping[str, Any],
    about: Mapping[str, Any],
    solution: Solution,
    marker: str,
    *,
    new_version: bool,
    set_default: bool,
    wait: float,
) -> runs.Stored:
    """Write a solution.

    Parameters
    ----------
    target : ixmp4.Platform
        From `stagekit.runs.writing`.
    items, about, solution : mapping
        What was solved, and what came of it.
    marker : str
        Message of the checkpoint, by which the solution is found again.
    new_version : bool
        Whether it goes to a copy of the version that was solved: items, timeseries and meta.
    set_default : bool
        Whether a new version becomes the default one.
    wait : float
        Seconds to wait for a run that somebody else has locked.

    Raises
    ------
    StageError
        ``scenario_changed`` if its items are not those that were solved, ``run_locked``.
    """
    source = items["run"]
    run = target.runs.get(source["model"], source["scenario"], source["version"])
    session = runs.session(target)
    now = scenario_items.read_items(session.connection(), source)
    if scenario_items.digest(now) != items["digest"] or run.id != source["id"]:
        raise StageError(
            "scenario_changed",
            f"Somebody changed the items of {source['model']!r}, {source['scenario']!r}, version"
            f" {source['version']} after they were loaded: the solution is not theirs. Run the job"
            " again from the stage load.",
        )
    if new_version:
        print(f"copying version {source['version']}", flush=True)
        run = run.clone(keep_solution=False)
    with _locked(run, marker, wait):
        for (kind, part), data in solution.items():
            _write(run, kind, about["store"][kind][part], data)
        _objective(run, about)
        if new_version and set_default:
            run.set_as_default()
    return runs.Stored(run.id, run.version)


@contextlib.contextmanager
def _locked(run: Run, marker: str, wait: float) -> Iterator[None]:
    """Lock a run and make its checkpoint; an error stays what it is.

    ixmp4 would revert the run first; here the transaction around it does that.
    """
    failure: Exception | None = None
    try:
        with run.transact(marker, timeout=wait):
            try:
                yield
            except Exception as error:
                failure = error
    except RunIsLocked:
        raise StageError(
            "run_locked",
            f"{run} is locked by somebody else and did not become free in {wait:.0f} seconds."
            " Continue the job later.",
        ) from None
    if failure is not None:
        raise failure


def _write(run: Run, kind: str, where: Mapping[str, Any], data: pd.DataFrame) -> None:
    items = getattr(run.optimization, kind)
    known = {item.name: item for item in items.list(name=where["name"])}
    if where["name"] in known:
        item = known[where["name"]]
        item.remove_data()
    else:
        renamed = where["columns"] != where["indexsets"]
        item = items.create(
            where["name"],
            constrained_to_indexsets=where["indexsets"] or None,
            column_names=where["columns"] if renamed and where["columns"] else None,
        )
    print(f"{kind[:-1]} {where['name']}: {len(data):,}", flush=True)
    item.add_data(data)


def _objective(run: Run, about: Mapping[str, Any]) -> None:
    name = about["store"]["objective"]
    if name:
        data = pd.DataFrame({"levels": [about["objective"]], "marginals": [0.0]})
        _write(run, "variables", {"name": name, "columns": [], "indexsets": []}, data)
    run.meta["objective"] = float(about["objective"])
    run.meta["solver_status"] = about["status"]
