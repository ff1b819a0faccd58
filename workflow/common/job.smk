# What the Snakefiles of all job types share: where scripts are, options, the platform's name.
import shlex
from pathlib import Path

# Commands name their script through this variable and not by a path of this machine: a job
# directory that is moved, or continued elsewhere, has the same commands and keeps its results.
shell.prefix(f"export WORKFLOW={shlex.quote(str(Path(workflow.basedir).parent))}; ")


def option(name, value):
    """`--name value`, quoted for the shell; nothing where there is no value."""
    if value is None or value is False or value == "":
        return ""
    return f"--{name}" if value is True else f"--{name} {shlex.quote(str(value))}"


def platform_options():
    """Options that name an embedded platform; any other is named by the environment alone."""
    platform = config.get("platform") or {}
    embedded = option("embedded", platform.get("embedded"))
    create = option("create-names", bool(platform.get("create_names")))
    return f"{embedded} {create}".strip()
