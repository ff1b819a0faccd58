import json


def names_options():
    """With a processing repository its own code decides on names, else the platform does."""
    if processing:
        return option("definitions", processing["checkout"])
    return f"--platform {platform_options()}"


def modules_option():
    """The processing modules, as one argument."""
    return option("modules", json.dumps(params["modules"])) if params["modules"] else ""
