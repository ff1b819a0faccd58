"""What a file would change on the platform: added, changed, removed, and what stays."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meta_platform import Value
from meta_submission import Submission
from meta_targets import Targets
from stagekit.files import whole
from stagekit.nearest import did_you_mean, nearest
from stagekit.problems import Problem

KINDS = ("added", "changed", "removed", "unchanged")
_COLUMNS = (
    "change", "model", "scenario", "version", "key", "from", "to", "from_type", "to_type",
    "row", "column",
)  # fmt: skip
_TYPES = {bool: "bool", int: "int", float: "float", str: "str"}


def compare(
    mode: str, given: Mapping[str, Value], there: Mapping[str, Value]
) -> list[dict[str, Any]]:
    """Compare the indicators of one run.

    Parameters
    ----------
    mode : {"merge", "replace", "remove"}
    given : mapping
        The indicators of the file.
    there : mapping
        Those of the platform.

    Returns
    -------
    list of dict
        ``change`` (one of `KINDS`), ``key``, ``from`` and ``to`` with their types. 1, 1.0 and true
        are different values.
    """
    found = []
    gone = set(there) - set(given) if mode == "replace" else set()
    if mode == "remove":
        gone, given = set(there) & set(given), {}
    for key in [*given, *sorted(gone)]:
        before, after = there.get(key), given.get(key)
        same = type(before) is type(after) and before == after
        change = "added" if before is None else "removed" if after is None else "changed"
        found.append({
            "change": "unchanged" if same else change, "key": key, "from": before, "to": after,
            "from_type": _TYPES.get(type(before)), "to_type": _TYPES.get(type(after)),
        })  # fmt: skip
    return found


def diff(
    submission: Submission,
    mode: str,
    targets: Targets,
    there: Mapping[int, Mapping[str, Value]],
) -> dict[str, Any]:
    """Compare a file with a platform.

    Parameters
    ----------
    submission : Submission
    mode : {"merge", "replace", "remove"}
    targets : Targets
        From `meta_targets.find`.
    there : mapping
        The indicators of each run.

    Returns
    -------
    dict
        ``mode``, ``counts``, ``runs`` (how many are compared, how many would change), ``unknown``
        and ``entries``.
    """
    entries: list[dict[str, Any]] = []
    columns = submission.source["columns"]
    for row in submission.rows:
        run = targets.runs.get(row.number)
        if run is None:
            continue
        for entry in compare(mode, submission.of(row), there[run.id]):
            named = {"model": run.model, "scenario": run.scenario, "version": run.version}
            place = {"row": row.number, "column": columns.get(entry["key"])}
            entries.append({"run": run.id, **named, **entry, **place})
    counts = Counter(entry["change"] for entry in entries)
    changed = {entry["run"] for entry in entries if entry["change"] != "unchanged"}
    return {
        "mode": mode,
        "file": submission.source["file"],
        "counts": {kind: counts[kind] for kind in KINDS},
        "runs": {"compared": len(targets.runs), "changed": len(changed)},
        "unknown": targets.unknown,
        "entries": entries,
    }


def absent(
    submission: Submission, targets: Targets, there: Mapping[int, Mapping[str, Value]]
) -> list[Problem]:
    """Warn of indicators that are to be removed and that no run of the file has."""
    known = sorted({key for values in there.values() for key in values})
    found = []
    for key in submission.keys:
        rows = [row.number for row in submission.rows if key in submission.of(row)]
        if key in known or not targets.runs:
            continue
        near = nearest(key, known)
        text = f"No scenario of the file has the meta indicator {key!r}.{did_you_mean(near)}"
        found.append(
            submission.problem("indicator_absent", text, rows, key, key, near, severity="warning")
        )
    return found


def write_csv(path: Path, document: Mapping[str, Any]) -> None:
    """Write the entries for people: changes first, then what stays, then unknown scenarios."""
    entries = sorted(document["entries"], key=lambda entry: KINDS.index(entry["change"]))
    unknown = [{**entry, "change": "unknown"} for entry in document["unknown"]]
    with whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, _COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for entry in [*unknown, *entries]:
            writer.writerow({name: _cell(value) for name, value in entry.items()})


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
