import math
import os

USUAL_ENVIRONMENT = "../../../envs/linopy.yaml"


def plugin_options():
    """Where the model plug-in is: a name, a file of the job, or the processing repository."""
    return " ".join(
        [
            option("plugin", params.get("plugin")),
            place("checkout", "CHECKOUT"),
            option("entry", processing.get("entry")),
        ]
    ).strip()


def plugin_file():
    """The plug-in that was submitted with the job, as a rule's input; none otherwise."""
    given = config.get("inputs", {}).get("plugin")
    return [given["path"]] if given else []


def plugin_environment():
    """The environment of build and solve: the job's own, the repository's, or the usual one."""
    if given := config.get("inputs", {}).get("environment"):
        return os.path.abspath(given["path"])
    if checkout := processing.get("checkout"):
        for name in ("environment.yaml", "environment.yml"):
            if os.path.isfile(os.path.join(checkout, name)):
                return os.path.join(checkout, name)
    return processing.get("environment", USUAL_ENVIRONMENT)


def plugin_module():
    """The environment module of build and solve; none where they have an environment of their own."""
    usual = plugin_environment() == USUAL_ENVIRONMENT
    return [environment_module("linopy")] if usual else []
