# What the Snakefiles of all job types share: where scripts are, options, the platform's name.
import shlex
from pathlib import Path

_PLATFORM = config.get("platform") or {}
_PROCESSING = config.get("processing") or {}
# Commands name what lies elsewhere through these variables and not by paths of this machine: a job
# directory that is moved, or continued elsewhere, has the same commands and keeps its results.
_PLACES = {
    "WORKFLOW": Path(workflow.basedir).parent,
    "EMBEDDED": _PLATFORM.get("embedded"),
    "LAYERS": _PLATFORM.get("layers"),
    "CHECKOUT": _PROCESSING.get("checkout"),
    "GIT_CONFIG": _PROCESSING.get("git_config"),
}
# A prefix of ours takes the place of Snakemake's own, which stops a command at its first failure.
shell.prefix(
    "set -euo pipefail; "
    + "".join(
        f"{name}={shlex.quote(str(path))}; " for name, path in _PLACES.items() if path
    )
)


def here(path):
    """A path of this job for a command; of a sub-job it lies in the sub-job's own folder.

    Snakemake puts that folder before inputs, outputs and logs by itself (`prefix:` of a module),
    not before what stands in a command.
    """
    folder = config.get("folder")
    return f"{folder}/{path}" if folder else path


def place(name, variable):
    """`--name "$VARIABLE"` for a path of this machine; nothing where there is none."""
    return f'--{name} "${variable}"' if _PLACES[variable] else ""


def option(name, value):
    """`--name value`, quoted for the shell; nothing where there is no value."""
    if value is None or value is False or value == "":
        return ""
    return f"--{name}" if value is True else f"--{name} {shlex.quote(str(value))}"


def platform_options():
    """Options that name an embedded platform; any other is named by the environment alone."""
    create = option("create-names", bool(_PLATFORM.get("create_names")))
    return f"{place('embedded', 'EMBEDDED')} {create}".strip()
