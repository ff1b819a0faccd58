import json


def mapping_file():
    """The file with new names, where the job has one."""
    given = config["inputs"].get("mapping")
    return {"mapping": given["path"]} if given else {}


def mapping_option():
    """New names as one argument; those that leave a shape out are empty."""
    mapping = {old: new or "" for old, new in params["mapping"].items()}
    return option("mapping", json.dumps(mapping)) if mapping else ""
