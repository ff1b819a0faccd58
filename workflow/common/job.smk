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
    "CHECKOUT": _PROCESSING.get("checkout"),
    "GIT_CONFIG": _PROCESSING.get("git_config"),
}
shell.prefix(
    "".join(
        f"{name}={shlex.quote(str(path))}; " for name, path in _PLACES.items() if path
    )
)


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
