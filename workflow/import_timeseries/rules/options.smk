import json


def names_options():
    """With a processing repository its own code decides on names, else the platform does."""
    if processing:
        return place("definitions", "CHECKOUT")
    return f"--platform {platform_options()}"


def modules_option():
    """The processing modules, as one argument."""
    return option("modules", json.dumps(params["modules"])) if params["modules"] else ""
