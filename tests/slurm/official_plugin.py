"""A Snakemake with its own plug-in for SLURM, and nothing of the job runner."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from runner.environments import standin_folder
from runner.standin import uvtool
from runner.standin.locking import exclusive
from tests.conftest import CACHE, ENVIRONMENTS, ROOT

LOCK = ROOT / "requirements-slurm-plugin.lock"


def installed() -> Path:
    """Give the folder of its programs; installed at most once for each content of the lock."""
    folder = CACHE / f"slurm-plugin-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    CACHE.mkdir(exist_ok=True)
    with exclusive(folder.with_suffix(".lock"), "another test's plug-in"):
        if not (folder / "complete").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            uvtool.run(["venv", str(folder)], "no environment for the plug-in")
            options = ["--python", str(folder / "bin" / "python"), "--require-hashes"]
            command = ["pip", "install", *options, "--compile-bytecode", "-r", str(LOCK)]
            uvtool.run(command, "the plug-in cannot be installed")
            (folder / "complete").touch()
    return folder / "bin"


def bare(profile: str, job: Path, *options: str, beside: Path | None = None) -> str:
    """Run a bare Snakemake over a job directory and give what it says.

    Parameters
    ----------
    profile
        A folder of ``config/snakemake``.
    job
        The job directory, with its ``job.yaml``.
    beside
        A folder that goes before all others on PATH.
    """
    folders = [*([beside] if beside else []), standin_folder(ENVIRONMENTS), installed()]
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    command = [
        str(installed() / "snakemake"),
        "--profile",
        str(ROOT / "config/snakemake" / profile),
    ]
    command += ["-s", str(ROOT / "workflow" / "import_timeseries" / "Snakefile")]
    command += ["--directory", str(job), "--configfile", str(job / "job.yaml"), *options]
    known = {"PATH": path, "JOBRUNNER_ENVS": str(ENVIRONMENTS)}
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **known}, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
