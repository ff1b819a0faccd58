"""Environment modules are loaded on the node that runs a stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import launch
from runner.envmodules.write import write
from runner.home import Home
from runner.standin.store import EnvironmentStore
from tests.runner.tool_source import tool_source
from tests.slurm.cluster import Cluster

PROFILE = """
platform: {{embedded: none.db}}
executor: slurm
slurm: {{interval: 1}}
environments: modules
modules: {{use: {folder}{name}}}
limits: {{cores: 1, mem_mb: 500, runtime: 5}}
"""


@pytest.fixture
def home(slurm_conf: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with a release of the tool, its module, and profiles with right and wrong names."""
    if not Path("/usr/share/modules/init/bash").is_file():
        pytest.skip("Debian's environment-modules is not installed")
    monkeypatch.setenv("JOBRUNNER_ENVS", str(tmp_path / "environments"))
    home = Home(tmp_path / "home")
    release = home.releases.publish(str(tool_source(tmp_path / "source", "24.2")), "1.0")
    write(release, tmp_path / "modulefiles", EnvironmentStore(home.environments))
    profiles = home.path / "config" / "profiles"
    profiles.mkdir(parents=True)
    for profile, name in {"right": "", "wrong": ", name: 'no/such-{environment}'"}.items():
        text = PROFILE.format(folder=tmp_path / "modulefiles", name=name)
        (profiles / f"{profile}.yaml").write_text(text)
    return home


def test_a_node_loads_the_module_or_says_which_is_missing_where(home: Home) -> None:
    jobs = {
        profile: launch.create(home, "tool", inputs={}, params={}, profile_name=profile)
        for profile in ("right", "wrong")
    }
    attempts = {name: job.start(job.options()) for name, job in jobs.items()}
    assert attempts["right"].wait(120) == "succeeded"
    assert (jobs["right"].job.path / "results" / "version.txt").read_text() == "24.2\n"
    assert attempts["wrong"].wait(120) == "failed"
    error = attempts["wrong"].error
    assert error is not None
    assert error["code"] == "environment_failed"
    assert "module no/such-tool could not be loaded on n" in error["message"]
