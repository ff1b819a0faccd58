"""Environment modules (Environment Modules, Lmod): the third way of stage environments.

A rule names a module beside its conda environment (``envmodules:``), and Snakemake's deployment
method ``env-modules`` loads it. ``jobrunner modules`` writes such modules for the environments of a
release. Here is what an attempt sets for it, and what a rule says whose module cannot be loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "JOBRUNNER_MODULES"
DEFAULT_NAME = "jobrunner/{environment}/{release}"
_USE = "JOBRUNNER_MODULES_USE"
_SITE = "JOBRUNNER_SITE_BASH_ENV"
_SETUP = Path(__file__).with_name("setup.bash")
_RECORD = "module.failed"  # written by setup.bash


def version_of(label: str) -> str:
    """Give the version of the modules of a release; Environment Modules finds none with a ``+``."""
    return label.replace("+", "-")


def variables(
    given: Mapping[str, str], label: str, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Give the variables that an attempt sets so that its rules can load modules.

    Parameters
    ----------
    given : mapping
        ``modules`` of the profile: ``name``, how modules are called (``{environment}`` stands for
        the name of the environment file, ``{release}`` for the version), and ``use``, a folder of
        module files.
    label : str
        The label of the release.
    base : mapping, optional
        The variables as they are; without it those of this process.
    """
    known = os.environ if base is None else base
    found = {
        "BASH_ENV": str(_SETUP),
        NAME: given.get("name", DEFAULT_NAME).replace("{release}", version_of(label)),
    }
    if (site := known.get("BASH_ENV")) and site != str(_SETUP):
        found[_SITE] = site
    if "use" in given:
        found[_USE] = given["use"]
    return found


def failed(stage_folder: Path, stage: str) -> dict[str, Any] | None:
    """Give the error object of a stage whose module could not be loaded; None if that is not why.

    Parameters
    ----------
    stage_folder : Path
        The folder of the stage in its attempt.
    stage : str
        Its name, for people.
    """
    try:
        asked, host, path, said = (stage_folder / _RECORD).read_text().split("\n", 3)
    except (OSError, ValueError):
        return None
    named = asked.partition(" ")[2]
    what = f"the environment module {named} could not be loaded" if named else f"{asked} failed"
    message = (
        f"Stage {stage}: {what} on {host}: {said.strip()}\n"
        f"Looked for in {path or 'no folder: MODULEPATH is empty'}. `jobrunner modules FOLDER` "
        "writes the modules of a release; the profile names them (`modules.name`) and the folder "
        "(`modules.use`)."
    )
    return {"code": "environment_failed", "message": message, "stage": stage, "problems": []}
