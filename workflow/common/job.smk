# What the Snakefiles of all job types share: where scripts are, options, the platform's name.
import os
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
_DEPLOYMENT = {method.name for method in workflow.deployment_settings.deployment_method}
# A prefix of ours takes the place of Snakemake's own, which stops a command at its first failure.
shell.prefix(
    # Snakemake would go on without a module that cannot be loaded, with whatever python there is.
    ("[ $? -eq 0 ] || exit 1; " if "ENV_MODULES" in _DEPLOYMENT else "")
    + "set -euo pipefail; "
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


def all_cores():
    """As many threads as there are cores; on a cluster, where nobody knows yet, what it gives."""
    return workflow.resource_settings.cores or 1


def option(name, value):
    """`--name value`, quoted for the shell; nothing where there is no value."""
    if value is None or value is False or value == "":
        return ""
    return f"--{name}" if value is True else f"--{name} {shlex.quote(str(value))}"


def platform_options():
    """Options that name an embedded platform; any other is named by the environment alone."""
    create = option("create-names", bool(_PLATFORM.get("create_names")))
    return f"{place('embedded', 'EMBEDDED')} {create}".strip()


def environment_module(name):
    """The environment module that has what `envs/<name>.yaml` has; the site says how it is called."""
    pattern = os.environ.get("JOBRUNNER_MODULES", "jobrunner/{environment}")
    return pattern.replace("{environment}", name)
