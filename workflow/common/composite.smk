# A job made of several: each sub-job is another job type, used as a Snakemake module in a folder of its
# own. `jobtype.yaml` names the sub-jobs, their types, and where their inputs come from:
#
#   sub_jobs:
#     meta: {type: import_meta, inputs: {indicators: workbook}, params: {required: false}}
#     snapshot: {type: snapshot, inputs: {runs: {sub_job: meta, path: results/stored.json}}}
#
# and the Snakefile has for each of them:
#
#   module meta:
#       snakefile: "../import_meta/Snakefile"
#       config: sub_job("meta")
#       prefix: sub_folder("meta")
#   use rule * from meta as meta_*
#
# Its own `all` comes last, because the default target of a module would take its place.
import json

import yaml


include: "job.smk"


with open(Path(workflow.basedir) / "jobtype.yaml") as _stream:
    SUB_JOBS = yaml.safe_load(_stream)["sub_jobs"]

_SHARED = ("release", "instance", "profile", "submitted", "platform", "processing")


def sub_folder(name):
    """The folder of a sub-job in the job directory."""
    return f"sub_jobs/{name}"


def sources_of(name):
    """Where each input of a sub-job comes from: a path in the job directory. Optional ones may lack."""
    found = {}
    for own, source in SUB_JOBS[name].get("inputs", {}).items():
        if isinstance(source, dict):
            found[own] = f"{sub_folder(source['sub_job'])}/{source['path']}"
        elif source in config.get("inputs", {}):
            found[own] = config["inputs"][source]["path"]
    return found


def sub_job(name):
    """The configuration of a sub-job: what its own job.yaml would say."""
    spec, params = SUB_JOBS[name], config.get("params") or {}
    inputs = {
        own: {"path": f"input/{Path(p).name}"} for own, p in sources_of(name).items()
    }
    return {
        **{key: config[key] for key in _SHARED if key in config},
        "id": f"{config['id']}.{name}",
        "type": spec["type"],
        "folder": sub_folder(name),
        "inputs": inputs,
        "params": {**(params.get(name) or {}), **spec.get("params", {})},
    }


class _JobYaml:
    """The text of the job.yaml of a sub-job in a shell command: "{JOB_YAML:name.q}".

    It is no param, because it names paths of this machine: a job that has come from another one
    need not run again for that.
    """

    def __format__(self, name):
        config = sub_job(name.removesuffix("."))
        return json.dumps({k: v for k, v in config.items() if k != "folder"})


JOB_YAML = _JobYaml()


include: "prepare.smk"
