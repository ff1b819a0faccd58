"""Why a stage was ended that took too much, with figures and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.limits import records
from runner.limits.prepare import OTHERS

_METHODS = {"rlimit": "each process, RLIMIT_DATA"}
# What programs say when they are refused memory: Python, the C library, C++, R, Java.
_REFUSED = (
    "MemoryError",
    "Cannot allocate memory",
    "cannot allocate",
    "std::bad_alloc",
    "OutOfMemoryError",
    "Out of memory",
    "out of memory",
)
_LAST_BYTES = 20_000


def exceeded(folder: Path, rule: str, log: Path | None = None) -> dict[str, Any] | None:
    """Give the error object of a rule that took too much in an attempt; None if none did.

    Parameters
    ----------
    folder : Path
        Of the attempt: ``<job>/attempts/<n>``.
    rule : str
        The rule.
    log : Path, optional
        Its log. Where memory is not held by a control group, a program that was refused memory
        says so there, and nowhere else.
    """
    for note in records.runs(folder, rule):
        if note.get("over") in _TOLD:
            return _error(rule, *_TOLD[note["over"]](rule, note))
        if note.get("by") == "rlimit" and note.get("exit") and _refused(log):
            told = {**note, "limit": records.limits(folder, rule)["mem_mb"]}
            return _error(rule, *_memory(rule, told, refused=True))
    return None


def _error(rule: str, code: str, message: str) -> dict[str, Any]:
    stage = None if rule == OTHERS else rule
    return {"code": code, "message": message, "stage": stage, "problems": []}


def _memory(rule: str, note: dict[str, Any], refused: bool = False) -> tuple[str, str]:
    limit, peak = note["limit"], note.get("peak_mb", 0)
    method = _METHODS.get(note["by"], note["by"])
    what = "was refused memory beyond" if refused else "was killed: it used more than"
    message = (
        f"{_who(rule)} {what} the {limit:.0f} MB that it may use (peak {peak:.0f} MB, limit of "
        f"{method}). {_raise(rule, 'mem_mb', limit)}"
    )
    return "out_of_memory", message


def _runtime(rule: str, note: dict[str, Any]) -> tuple[str, str]:
    limit = note["limit"]
    message = (
        f"{_who(rule)} was stopped after {limit:g} minutes, its limit of wall time (it used "
        f"{note.get('cpu_seconds', 0):.0f} s of CPU). {_raise(rule, 'runtime', limit)}"
    )
    return "time_limit", message


def _disk(rule: str, note: dict[str, Any]) -> tuple[str, str]:
    limit = note["limit"]
    message = (
        f"{_who(rule)} was stopped: the job directory and its temporary folder took "
        f"{note.get('disk_mb', 0):.0f} MB of disk, more than the {limit:.0f} MB that they may. "
        f"{_raise(rule, 'disk_mb', limit)}"
    )
    return "disk_limit", message


_TOLD = {"memory": _memory, "runtime": _runtime, "disk": _disk}


def _who(rule: str) -> str:
    return "A rule that is no stage" if rule == OTHERS else f"Stage {rule}"


def _raise(rule: str, name: str, limit: float) -> str:
    where = name if rule == OTHERS else f"{rule}:{name}"
    return (
        f"If it needs that much, run the job again with --resource {where}={2 * limit:g} "
        "(resources of the request), or raise the limit in the profile (types)."
    )


def _refused(log: Path | None) -> bool:
    if log is None:
        return False
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _LAST_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return False
    return any(words in text for words in _REFUSED)
