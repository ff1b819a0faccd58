"""Stage environments as environment modules: Debian's Environment Modules, and a real Snakemake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner import environments, envmodules, launch
from runner.envmodules import write
from runner.errors import EnvironmentFailed, InvalidRequest
from runner.home import Home
from tests.runner.environment_helpers import builds, environment_file, output_of
from tests.runner.tool_source import tool_source

INIT = Path("/usr/share/modules/init/bash")
PROFILE = "platform: {{embedded: none.db}}\nenvironments: modules\nmodules: {modules}\n"


@pytest.fixture(autouse=True)
def environment_modules() -> None:
    if not INIT.is_file():
        pytest.skip("Debian's environment-modules is not installed")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with two releases of the tool, and their modules."""
    monkeypatch.setenv("JOBRUNNER_ENVS", str(tmp_path / "environments"))
    home = Home(tmp_path / "home")
    for label, version in {"1.0+first": "24.1", "2.0": "24.2"}.items():
        home.releases.publish(str(tool_source(tmp_path / f"source-{label}", version)), label)
        _write(home, label, tmp_path / "modulefiles")
    _profile(home, f"{{use: {tmp_path / 'modulefiles'}}}")
    return home


def _write(home: Home, label: str, folder: Path, **options: object) -> dict[str, Path]:
    store = environments.EnvironmentStore(home.environments)
    return write.write(home.releases.get(label), folder, store, **options)  # type: ignore[arg-type]


def _profile(home: Home, modules: str) -> None:
    folder = home.path / "config" / "profiles"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "modules.yaml").write_text(PROFILE.format(modules=modules))


def _job(home: Home, label: str = "2.0", **params: str) -> launch.Prepared:
    return launch.create(
        home, "tool", inputs={}, params=params, version=label, profile_name="modules"
    )


def _run(prepared: launch.Prepared) -> tuple[str, dict[str, object] | None]:
    attempt = prepared.start(prepared.options())
    return str(attempt.wait()), attempt.error


def _result(prepared: launch.Prepared) -> str:
    return (prepared.job.path / "results" / "version.txt").read_text()


def test_two_jobs_at_once_each_have_the_version_of_their_release(
    home: Home, tmp_path: Path
) -> None:
    meet = tmp_path / "meet"
    meet.mkdir()
    jobs = [  # each waits until the other's stage runs
        _job(home, "1.0+first", meet=str(meet), me="a", other="b"),
        _job(home, "2.0", meet=str(meet), me="b", other="a"),
    ]
    attempts = [job.start(job.options()) for job in jobs]
    assert [attempt.wait(120) for attempt in attempts] == ["succeeded", "succeeded"]
    assert [_result(job) for job in jobs] == ["24.1\n", "24.2\n"]
    assert len(builds(home.environments)) == 2  # those of the modules: the jobs built none
    for job in jobs:
        assert "conda environment" not in (job.job.logs / "job.log").read_text()


def test_a_site_names_the_modules_and_their_default_version_itself(
    home: Home, tmp_path: Path
) -> None:
    folder = tmp_path / "modulefiles"
    _profile(home, f"{{use: {folder}, name: 'jobrunner/{{environment}}'}}")
    job = _job(home, "2.0")
    assert _run(job) == ("succeeded", None)
    assert _result(job) == "24.1\n"  # the first that was written is the default
    _write(home, "2.0", folder, default=True)
    job = _job(home, "2.0")
    assert _run(job) == ("succeeded", None)
    assert _result(job) == "24.2\n"


def test_a_module_that_is_missing_fails_the_stage_with_its_name(home: Home) -> None:
    _profile(home, "{name: 'no/such-{environment}'}")
    job = _job(home)
    outcome, error = _run(job)
    assert outcome == "failed"
    assert error is not None
    assert (error["code"], error["stage"]) == ("environment_failed", "show")
    message = str(error["message"])
    for part in ("no/such-tool", os.uname().nodename, "Unable to locate", "jobrunner modules"):
        assert part in message
    assert not (job.job.path / "results" / "version.txt").exists()


def test_a_module_whose_environment_is_not_on_this_node_says_so(home: Home) -> None:
    for built in home.environments.glob("*.*/bin/python"):
        built.unlink()
    outcome, error = _run(_job(home))
    assert outcome == "failed"
    assert error is not None
    assert "there is no environment" in str(error["message"])


def test_an_environment_that_came_with_the_job_is_built_beside_modules(
    home: Home, tmp_path: Path
) -> None:
    own = environment_file(tmp_path / "own.yaml", "packaging==24.0")
    job = _job(home)
    text = (job.job.path / "job.yaml").read_text()
    (job.job.path / "job.yaml").write_text(f"{text}own: {own}\n")
    assert _run(job) == ("succeeded", None)
    assert _result(job) == "24.0\n"


def _bare(source: Path, job: Path, *options: str, **variables: str) -> subprocess.CompletedProcess:  # type: ignore[type-arg]
    """Run a bare Snakemake in a bash that has `module`, as on a login node."""
    job.mkdir()
    command = [sys.executable, "-m", "snakemake", "-s", str(source / "workflow/tool/Snakefile")]
    command += ["--directory", str(job), "--cores", "1", "--sdm", *options]
    given = {"BASH_ENV": str(INIT), **variables}
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **given}, check=False
    )


def test_a_bare_snakemake_loads_the_modules_or_stops(home: Home, tmp_path: Path) -> None:
    source, used = tmp_path / "source-2.0", {"MODULEPATH": str(tmp_path / "modulefiles")}
    done = _bare(source, tmp_path / "one", "env-modules", **used)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "one" / "results" / "version.txt").read_text() == "24.1\n"
    pinned = {"JOBRUNNER_MODULES": "jobrunner/{environment}/2.0"}
    done = _bare(source, tmp_path / "two", "env-modules", **used, **pinned)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "two" / "results" / "version.txt").read_text() == "24.2\n"
    done = _bare(source, tmp_path / "three", "env-modules")
    assert done.returncode != 0
    assert "Unable to locate a modulefile for 'jobrunner/tool'" in done.stderr
    assert not (tmp_path / "three" / "results" / "version.txt").exists()
    own = environment_file(tmp_path / "own.yaml", "packaging==24.0")
    done = _bare(source, tmp_path / "four", "env-modules", "--config", f"own={own}", **used)
    assert done.returncode != 0
    assert "--software-deployment-method env-modules conda" in done.stderr


def _shell(code: str, **variables: str) -> subprocess.CompletedProcess:  # type: ignore[type-arg]
    """Run a command as Snakemake does, with our setup and nothing of the caller's."""
    given = envmodules.variables({}, "1", base={}) | variables
    return subprocess.run(
        ["bash", "-c", code],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **given},
    )


def test_what_the_site_set_for_bash_is_kept_and_its_module_command_used(tmp_path: Path) -> None:
    site = tmp_path / "site.bash"
    site.write_text("SITE=kept; module() { echo site $*; }\n")
    given = envmodules.variables({}, "1", base={"BASH_ENV": str(site)})
    again = envmodules.variables({}, "1", base=given)
    assert again["BASH_ENV"] == given["BASH_ENV"]
    done = _shell('echo $SITE; module load x; bash -c "module purge"', **given)
    assert done.stdout.split("\n") == ["kept", "site load x", "site purge", ""]
    # a function that is only exported, as after `module` was set up in a login shell
    code = (
        f"module() {{ echo exported $*; }}; export -f module; export BASH_ENV={given['BASH_ENV']}"
    )
    shown = output_of(["bash", "-c", f"{code}; bash -c \"module load y; bash -c 'module load z'\""])
    assert shown.split("\n") == ["exported load y", "exported load z", ""]


def test_a_module_that_fails_ends_the_command_and_is_noted_down(tmp_path: Path) -> None:
    done = _shell("module load nope; echo went on", JOBRUNNER_STAGE=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "nope" in done.stderr
    found = envmodules.failed(tmp_path, "read")
    assert found is not None
    assert "module nope could not be loaded" in found["message"]
    assert envmodules.failed(tmp_path / "other", "read") is None
    assert _shell("module avail; echo went on").stdout == "went on\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide a folder for one process")
def test_a_machine_without_modules_is_told_apart_from_a_missing_module(tmp_path: Path) -> None:
    setup = envmodules.variables({}, "1", base={})["BASH_ENV"]
    code = f"""
        mount -t tmpfs none /usr/share/modules; mount -t tmpfs none /etc/profile.d
        export BASH_ENV={setup} JOBRUNNER_STAGE={tmp_path}
        bash -c 'module purge && module load x; echo went on'"""
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", code], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    found = envmodules.failed(tmp_path, "read")
    assert found is not None
    assert "no command `module`" in found["message"]


def test_modules_are_for_everybody_and_need_not_be_written_to(home: Home, tmp_path: Path) -> None:
    store = environments.EnvironmentStore(tmp_path / "private" / "environments")
    before = os.umask(0o077)
    try:
        release = home.releases.get("2.0")
        written = write.write(release, tmp_path / "private" / "modulefiles", store)
    finally:
        os.umask(before)
    (module,) = written.values()
    assert module.stat().st_mode & 0o777 == 0o644
    assert module.parent.stat().st_mode & 0o777 == 0o755
    built = Path(module.read_text().split("set prefix {")[1].split("}")[0])
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in built.rglob("*") if path.exists())
    packaging = next(built.glob("lib/*/site-packages/packaging"))
    assert (packaging / "__pycache__").is_dir()  # compiled: who uses it need not write


def test_a_module_that_is_not_ours_is_not_written_over(home: Home, tmp_path: Path) -> None:
    other = tmp_path / "modulefiles" / "jobrunner" / "tool" / "2.0"
    other.write_text("#%Module1.0\n")
    with pytest.raises(EnvironmentFailed, match=r"not of release 2\.0"):
        _write(home, "2.0", tmp_path / "modulefiles")
    assert other.read_text() == "#%Module1.0\n"
    with pytest.raises(InvalidRequest, match="part of a module's name"):
        _write(home, "2.0", tmp_path / "modulefiles", prefix="a b")


def test_the_command_writes_what_module_avail_lists(home: Home, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "runner", "modules", str(tmp_path / "mine"), "--json"]
    command += ["--version", "1.0+first", "--prefix", "our-tools", "--home", str(home.path)]
    document = json.loads(output_of(command))
    assert list(document) == ["our-tools/tool/1.0-first"]
    shown = _shell("module avail 2>&1", MODULEPATH=str(tmp_path / "mine"))
    assert "our-tools/tool/1.0-first" in shown.stdout
