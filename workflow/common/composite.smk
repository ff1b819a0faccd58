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
# Its own `rule all` comes last: the default target of a module would take its place.
import json
import yaml


include: "job.smk"


with open(Path(workflow.basedir) / "jobtype.yaml") as _stream:
    _SUB_JOBS = yaml.safe_load(_stream)["sub_jobs"]

_SHARED = ("release", "instance", "profile", "submitted", "platform", "processing")


def sub_folder(name):
    """The folder of a sub-job in the job directory."""
    return f"sub_jobs/{name}"


def _sources(name):
    """Where each input of a sub-job comes from: a path in the job directory. Optional ones may lack."""
    found = {}
    for own, source in _SUB_JOBS[name].get("inputs", {}).items():
        if isinstance(source, dict):
            found[own] = f"{sub_folder(source['sub_job'])}/{source['path']}"
        elif source in config.get("inputs", {}):
            found[own] = config["inputs"][source]["path"]
    return found


def sub_job(name):
    """The configuration of a sub-job: what its own job.yaml would say."""
    spec, params = _SUB_JOBS[name], config.get("params") or {}
    inputs = {
        own: {"path": f"input/{Path(p).name}"} for own, p in _sources(name).items()
    }
    return {
        **{key: config[key] for key in _SHARED if key in config},
        "id": f"{config['id']}.{name}",
        "type": spec["type"],
        "folder": sub_folder(name),
        "inputs": inputs,
        "params": {**(params.get(name) or {}), **spec.get("params", {})},
    }


def _job_yaml(name):
    """The same for the folder taken by itself, where paths start in it."""
    return json.dumps({k: v for k, v in sub_job(name).items() if k != "folder"})


class _JobYaml:
    """The text of the job.yaml of `name` in a shell command: "{_JOB_YAML:name.q}".

    It is no param of the rule that writes it: it names paths of this machine, and a job that has
    come from another one need not run again for that.
    """

    def __format__(self, name):
        return _job_yaml(name.removesuffix("."))


_JOB_YAML = _JobYaml()

# The folder of a sub-job is a job directory of its own: with its job.yaml and its inputs.
for _name in _SUB_JOBS:

    rule:
        name:
            f"{_name}_prepare"
        input:
            **_sources(_name),
        output:
            **{
                own: f"{sub_folder(_name)}/input/{Path(path).name}"
                for own, path in _sources(_name).items()
            },
            job=f"{sub_folder(_name)}/job.yaml",
        log:
            f"{sub_folder(_name)}/logs/prepare.log",
        localrule: True
        params:
            name=_name,
            folder=f"{sub_folder(_name)}/input",
        shell:
            "exec 2> {log};"
            ' for file in {input:q}; do cp --link --force "$file" {params.folder}/; done;'
            " printf '%s\\n' {_JOB_YAML:{params.name}.q} > {output.job}"
