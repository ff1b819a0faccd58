"""Why a stage was ended that took too much, with figures and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.limits import records
from runner.limits.prepare import OTHERS

# What programs say when they are refused memory: Python, the C library and R, C++, Rust, Java. That
# of a graphics processor is another matter.
_REFUSED = re.compile(
    r"(?<!OutOf)MemoryError|[Cc]annot allocate|std::bad_alloc|memory allocation of \d+ bytes failed"
    r"|java\.lang\.OutOfMemoryError|(?<!CUDA )(?<!HIP )[Oo]ut of memory"
)
_GENERAL = ("stage_failed", "io_error")  # codes of stagekit for exceptions that no stage expects
_LAST_BYTES = 20_000


def exceeded(
    folder: Path,
    rule: str,
    log: Path | None = None,
    document: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Give the error object of a rule that took too much in an attempt; None if none did.

    Parameters
    ----------
    folder : Path
        Of the attempt: ``<job>/attempts/<n>``.
    rule : str
        The rule.
    log : Path, optional
        Its log. Where memory is not held by a control group, a program that was refused memory
        says so in words, and nowhere else.
    document : mapping, optional
        The error document that it left in that attempt: it goes before the log.
    """
    for note in records.runs(folder, rule):
        if note.get("over") in _TOLD:
            return _error(rule, *_TOLD[note["over"]](rule, note))
        if note.get("by") == "rlimit" and note.get("exit") and _refused(log, document):
            told = {**note, "limit": records.limits(folder, rule)["mem_mb"]}
            return _error(rule, *_refusal(rule, told))
    return None


def _error(rule: str, code: str, message: str) -> dict[str, Any]:
    stage = None if rule == OTHERS else rule
    return {"code": code, "message": message, "stage": stage, "problems": []}


def _memory(rule: str, note: dict[str, Any]) -> tuple[str, str]:
    limit, peak = note["limit"], note.get("peak_mb", 0)
    method = "all its processes together" if note["by"] == "rlimit" else note["by"]
    message = (
        f"{_who(rule)} was killed: it used more than the {limit:.0f} MB that it may use (peak "
        f"{peak:.0f} MB, limit of {method}). {_raise(rule, 'mem_mb', limit)}"
    )
    return "out_of_memory", message


def _refusal(rule: str, note: dict[str, Any]) -> tuple[str, str]:
    limit, peak = note["limit"], note.get("peak_mb", 0)
    message = (
        f"{_who(rule)} was refused memory beyond the {limit:.0f} MB that it may use (peak "
        f"{peak:.0f} MB, limit of each process, RLIMIT_DATA). {_raise(rule, 'mem_mb', limit)}"
    )
    return "out_of_memory", message


def _machine(rule: str, note: dict[str, Any]) -> tuple[str, str]:
    limit, peak = note["limit"], note.get("peak_mb", 0)
    message = (
        f"{_who(rule)} was killed: machine {note.get('host', '')}, or the container or service "
        f"that the runner is in, had no memory left. It used {peak:.0f} MB of the {limit:.0f} MB "
        "that it may use: more would not help. Run the job again when less runs there, or on a "
        "machine with more memory; if this comes again, let fewer jobs run at once (memory or "
        "slots of the worker), or have the stages ask for what they do use (mem_mb)."
    )
    return "machine_out_of_memory", message


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


_TOLD = {"memory": _memory, "machine": _machine, "runtime": _runtime, "disk": _disk}


def _who(rule: str) -> str:
    return "A rule that is no stage" if rule == OTHERS else f"Stage {rule}"


def _raise(rule: str, name: str, limit: float) -> str:
    where = name if rule == OTHERS else f"{rule}:{name}"
    return (
        f"If it needs that much, run the job again with --resource {where}={2 * limit:g} "
        "(resources of the request), or raise the limit in the profile (types)."
    )


def _refused(log: Path | None, document: Mapping[str, Any] | None) -> bool:
    """Tell whether a rule says that it was refused memory; a reason of its own is another."""
    if document is not None:
        said = str(document.get("message")) if document.get("code") in _GENERAL else ""
    else:
        said = _end(log) if log is not None else ""
    return _REFUSED.search(said) is not None


def _end(log: Path) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _LAST_BYTES))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""
