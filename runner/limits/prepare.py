"""The folder of an attempt from which its rules get their limits, and its stage shell."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.errors import InvalidConfiguration
from runner.files import room_on_disk
from runner.limits import methods, settings, shell, stage  # noqa: F401 - byte-compiled so
from runner.resources import Plan

OTHERS = "_"  # what stands for the rules that are no stages
_NAMES = ("cores", "mem_mb", "runtime", "disk_mb")
_SHELL = """#!/bin/sh
# Snakemake's bash: a rule goes through the stage shell, everything else to the real one.
jobrunner_bin={bin}
jobrunner_path=:$PATH:
case $jobrunner_path in *:"$jobrunner_bin":*)
  PATH=${{jobrunner_path%%:"$jobrunner_bin":*}}:${{jobrunner_path#*:"$jobrunner_bin":}}
  PATH=${{PATH#:}} PATH=${{PATH%:}}
esac
case ${{TMPDIR-}} in {stages}/*)
  if [ -f "$TMPDIR/{file}" ]; then exec {python} -I -S -B {shell} "$@"; fi
esac
exec bash "$@"
"""


def prepare(folder: Path, plan: Plan, *, enforce: bool, cores: int | None = None) -> Path:
    """Write what each rule of an attempt may take, and the stage shell that sees to it.

    Parameters
    ----------
    folder : Path
        Of the attempt: ``<job>/attempts/<n>``, absolute.
    plan : Plan
        What the attempt and its stages may take.
    enforce : bool
        Whether the stage shell enforces it; else it only notes down what is used.
    cores : int, optional
        Cores of the attempt, if others than those of the plan; rules that say nothing have them.

    Returns
    -------
    Path
        The folder that has to be first on the attempt's ``PATH``.

    Raises
    ------
    InvalidConfiguration
        If ``JOBRUNNER_LIMITS`` is none of its values, or ``PATH`` could not hold the folder.
    DiskFull
        If there is no room for it.
    """
    method = methods.chosen()
    if os.pathsep in str(folder):
        raise InvalidConfiguration(
            f"{folder.parent.parent}: a colon in the path of a job directory keeps its stages from "
            "being held to their limits, because PATH cannot have it. Move the job, or its home "
            "folder, to a path without one."
        )
    with room_on_disk(folder):
        return _write(folder, plan, {"enforce": enforce, "method": method}, cores)


def _write(folder: Path, plan: Plan, how: Mapping[str, Any], cores: int | None) -> Path:
    stages, programs = folder / "stages", folder / "bin"
    for rule, limits in {**plan.stages, OTHERS: plan.attempt}.items():
        own = {"cores": cores} if cores and "cores" not in plan.declared.get(rule, {}) else {}
        told = {**_told(rule, {**limits, **own}), **how}
        (stages / rule).mkdir(parents=True, exist_ok=True)
        (stages / rule / settings.FILE).write_text(json.dumps(told, indent=0), encoding="utf-8")
    programs.mkdir(parents=True, exist_ok=True)
    text = _SHELL.format(
        bin=shlex.quote(str(programs)),
        stages=shlex.quote(str(stages)),
        file=settings.FILE,
        python=shlex.quote(sys.executable),
        shell=shlex.quote(str(Path(shell.__file__).resolve())),
    )
    bash = programs / "bash"
    bash.write_bytes(os.fsencode(text))
    bash.chmod(0o755)
    return programs


def _told(rule: str, limits: Mapping[str, Any]) -> dict[str, Any]:
    bounds = {name: limits[name] for name in _NAMES if name in limits}
    place = os.path.abspath(os.environ.get("TMPDIR") or tempfile.gettempdir())
    return {"rule": rule, **bounds, "tmpdir": place}
