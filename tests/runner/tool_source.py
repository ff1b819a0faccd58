"""A workflow source whose one stage tells the version of a package: by conda file or module."""

from __future__ import annotations

import shutil
from pathlib import Path

from runner.standin import locks
from tests.conftest import ROOT
from tests.runner.environment_helpers import environment_file

SNAKEFILE = """
include: "../common/job.smk"

config.setdefault("params", {})
params = config["params"]

rule all:
    default_target: True
    input: "results/version.txt"

rule show:
    output: "results/version.txt"
    log: "logs/show.log"
    conda: config.get("own") or "../../envs/tool.yaml"
    envmodules: *([] if config.get("own") else [environment_module("tool")])
    params: meet=params.get("meet", "."), me=params.get("me", "a"), other=params.get("other", "a")
    shell:
        "touch {params.meet}/{params.me}; until [ -e {params.meet}/{params.other} ];"
        " do sleep 0.02; done;"
        " python -c 'import packaging; print(packaging.__version__)' > {output} 2> {log}"

include: "../common/environments.smk"
"""
JOB_TYPE = "title: Tool\ndescription: Shows a version.\nstages: {show: {title: Show}}\n"


def tool_source(folder: Path, version: str) -> Path:
    """Write a workflow source whose tool has this version."""
    common = folder / "workflow" / "common"
    common.mkdir(parents=True)
    for name in ("job.smk", "environments.smk"):
        shutil.copy(ROOT / "workflow" / "common" / name, common)
    (folder / "workflow" / "tool").mkdir()
    (folder / "workflow" / "tool" / "Snakefile").write_text(SNAKEFILE)
    (folder / "workflow" / "tool" / "jobtype.yaml").write_text(JOB_TYPE)
    (folder / "workflow" / "tool" / "params.schema.yaml").write_text("type: object\n")
    locks.write(environment_file(folder / "envs" / "tool.yaml", f"packaging=={version}"))
    return folder
