"""A bare Snakemake with its own plug-in works on the cluster by the configuration that we ship."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal

from tests.conftest import ROOT
from tests.slurm.cluster import Cluster
from tests.slurm.official_plugin import bare
from tests.slurm.processes import program

WORKBOOK = ROOT / "examples" / "example-workbook.xlsx"


def _job(folder: Path) -> Path:
    """Write a job directory as somebody would who has nothing of the job runner."""
    (folder / "input").mkdir(parents=True)
    shutil.copy(WORKBOOK, folder / "input")
    schema = ROOT / "workflow" / "import_timeseries" / "params.schema.yaml"
    known = yaml.safe_load(schema.read_text())["properties"]
    job = {
        "id": "bare",
        "type": "import_timeseries",
        "inputs": {"workbook": {"path": f"input/{WORKBOOK.name}"}},
        "params": {name: spec["default"] for name, spec in known.items() if "default" in spec},
        "platform": {"embedded": str(folder / "platform.db"), "create_names": True},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    return folder


@pytest.fixture
def srun(slurm_conf: Cluster, tmp_path: Path) -> Path:
    """Give a folder with an `srun` that knows the cluster.

    The plug-in takes SLURM's variables out of a job's environment, and with them where this
    cluster's configuration is; that of a real one lies where every program looks.
    """
    folder = tmp_path / "bin"
    folder.mkdir()
    lines = [f"export {name}='{value}'" for name, value in slurm_conf.environment.items()]
    (folder / "srun").write_text("\n".join(["#!/bin/sh", *lines, f'exec {program("srun")} "$@"\n']))
    (folder / "srun").chmod(0o755)
    return folder


def test_it_gives_the_same_as_on_one_machine(srun: Path, tmp_path: Path) -> None:
    jobs = {name: _job(tmp_path / name) for name in ("local", "slurm")}
    bare("local", jobs["local"], "--until", "read")
    said = bare("slurm", jobs["slurm"], "--until", "read", beside=srun)
    assert said.count("has been submitted with SLURM jobid") == 1
    for name in ("data", "meta"):
        tables = [pl.read_parquet(job / "work" / f"{name}.parquet") for job in jobs.values()]
        assert_frame_equal(*tables)
