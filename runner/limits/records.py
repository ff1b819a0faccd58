"""What the stage shell noted down about the rule runs of an attempt."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runner.limits import settings

_SUMMED = ("seconds", "cpu_seconds", "read_mb", "written_mb")


def runs(folder: Path, rule: str) -> list[dict[str, Any]]:
    """Give the notes about each run of a rule in an attempt, oldest first.

    Parameters
    ----------
    folder : Path
        Of the attempt: ``<job>/attempts/<n>``.
    rule : str
        The rule.
    """
    found = []
    for path in sorted((folder / "stages" / rule).glob("used.*.json")):
        try:
            note = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # cut short by a full disk, or just removed
            continue
        if isinstance(note, dict):
            found.append(note)
    return sorted(found, key=lambda note: str(note.get("started")))


def limits(folder: Path, rule: str) -> dict[str, Any]:
    """Give what a rule may take in an attempt, as the stage shell is told."""
    text = (folder / "stages" / rule / settings.FILE).read_text(encoding="utf-8")
    return dict(json.loads(text))


def used(folder: Path, rule: str) -> dict[str, Any] | None:
    """Sum up what the runs of a rule used in an attempt; None if none has ended.

    Parameters
    ----------
    folder : Path
        Of the attempt: ``<job>/attempts/<n>``.
    rule : str
        The rule.

    Returns
    -------
    dict or None
        ``runs``, ``seconds`` and ``cpu_seconds`` (of all), ``longest_seconds`` (of the longest
        run), ``peak_mb`` (of the largest, 2²⁰ bytes), ``read_mb`` and ``written_mb`` (10⁶ bytes).
    """
    notes = runs(folder, rule)
    if not notes:
        return None
    sums = {name: round(sum(note.get(name, 0) for note in notes), 3) for name in _SUMMED}
    return {
        "runs": len(notes),
        "seconds": sums["seconds"],
        "longest_seconds": max(note.get("seconds", 0) for note in notes),
        "cpu_seconds": sums["cpu_seconds"],
        "peak_mb": max(note.get("peak_mb", 0) for note in notes),
        "read_mb": sums["read_mb"],
        "written_mb": sums["written_mb"],
    }


def of_stages(folder: Path, stages: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Give what each stage of an attempt used, of those that ran."""
    found = {stage: used(folder, stage) for stage in stages}
    return {stage: note for stage, note in found.items() if note}
