"""Removing what stage shells could not, because they were killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

from runner.limits import cgroups, scratch


def sweep(folder: Path) -> None:
    """Remove temporary folders and control groups that an attempt left on this machine.

    What still runs in such a group is killed. A stage shell that lives sees to its own.

    Parameters
    ----------
    folder : Path
        Of the attempt: ``<job>/attempts/<n>``.
    """
    for note in folder.glob(f"stages/*/running.{scratch.host()}.*.json"):
        pid = int(note.stem.rpartition(".")[2])
        if _is_stage_shell(pid, note.parent):
            continue
        with suppress(OSError, ValueError):
            _remove(json.loads(note.read_text(encoding="utf-8")))
        note.unlink(missing_ok=True)


def _remove(note: dict[str, str | None]) -> None:
    for path in filter(None, (note.get("groups") or "").split(":")):
        if Path(path).name.startswith(cgroups.PREFIX):
            _empty(Path(path))
            cgroups.Group(path, 1).remove()
    folder = Path(note.get("tmpdir") or "-")
    if folder.name.startswith(scratch.PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def _empty(group: Path) -> None:
    with suppress(OSError):
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def _is_stage_shell(pid: int, folder: Path) -> bool:
    """Tell whether a process is the stage shell of that folder, not another of its number."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"TMPDIR={folder}".encode() in environment.split(b"\0")
