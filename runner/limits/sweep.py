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

    What still runs in such a group is killed. A stage shell that lives sees to its own. What cannot
    be removed stays noted down, for the next time.

    Parameters
    ----------
    folder : Path
        Of the attempt: ``<job>/attempts/<n>``.
    """
    for note in folder.glob(f"stages/*/running.{scratch.host()}.*.json"):
        pid = int(note.stem.rpartition(".")[2])
        if _is_stage_shell(pid, note.parent):
            continue
        if _remove(_read(note)):
            note.unlink(missing_ok=True)


def _read(note: Path) -> dict[str, str | None]:
    try:
        return dict(json.loads(note.read_text(encoding="utf-8")))
    except (OSError, ValueError):  # cut short by a full disk, or just removed
        return {}


def _remove(note: dict[str, str | None]) -> bool:
    folder = Path(note.get("tmpdir") or "-")
    if folder.name.startswith(scratch.PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
    groups = (note.get("groups") or "").split(scratch.BETWEEN)
    return all([_remove_group(Path(path)) for path in groups])


def _remove_group(group: Path) -> bool:
    if not group.name.startswith(cgroups.PREFIX):
        return True
    _empty(group)
    return cgroups.Group(str(group), 1).remove()


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
