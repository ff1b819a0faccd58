"""Choosing how environments are made, reading their files, answering conda's calls."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from runner import environments
from runner.errors import EnvironmentFailed, InvalidConfiguration, MissingTool
from runner.standin import pythons
from runner.standin.requirements import Refused, check_line
from runner.standin.spec import read_spec
from tests.runner.environment_helpers import environment_file, output_of


def _program(path: Path, text: str = "#!/bin/sh\necho conda 25.1.0\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_auto_takes_a_real_conda_and_else_uv(tmp_path: Path) -> None:
    conda = _program(tmp_path / "miniforge" / "bin" / "conda")
    assert environments.resolve_mode("auto", str(conda.parent)) == "conda"
    assert environments.resolve_mode("auto", str(tmp_path)) == "uv"
    assert environments.resolve_mode("uv", str(conda.parent)) == "uv"
    assert environments.resolve_mode("none", str(conda.parent)) == "none"


def test_the_stand_in_is_not_taken_for_a_real_conda(tmp_path: Path) -> None:
    folder = str(environments.standin_folder(tmp_path))
    assert environments.resolve_mode("auto", folder) == "uv"
    conda = _program(tmp_path / "real" / "conda")
    assert environments.find_conda(os.pathsep.join([folder, str(conda.parent)])) == str(conda)


def test_a_mode_that_cannot_be_had_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingTool, match="Miniforge"):
        environments.resolve_mode("conda", str(tmp_path))
    with pytest.raises(InvalidConfiguration, match="auto, conda, uv, modules, none"):
        environments.resolve_mode("docker", str(tmp_path))


def test_an_attempt_finds_the_stand_in_first_and_the_locks_it_was_given(tmp_path: Path) -> None:
    base = {"PATH": "/usr/bin:/bin", "JOBRUNNER_LOCKS": "/mine"}
    given = environments.environment_variables(
        "uv", root=tmp_path, lock_folders=[Path("/release/envs")], base=base
    )
    assert given["PATH"] == f"{environments.standin_folder(tmp_path)}:/usr/bin:/bin"
    assert given["JOBRUNNER_ENVS"] == str(tmp_path)
    assert given["JOBRUNNER_LOCKS"] == "/release/envs:/mine"
    again = environments.environment_variables("uv", root=tmp_path, base={**base, **given})
    assert again["PATH"] == given["PATH"]
    assert environments.environment_variables("conda", base=base) == {}


def test_jobs_with_other_locks_never_share_links_to_environments(tmp_path: Path) -> None:
    def prefix(mode: environments.Mode, name: str) -> Path | None:
        return environments.prefix_folder(mode, root=tmp_path, lock_folders=[tmp_path / name])

    for name, text in {"1.0": "a==1", "1.0-again": "a==1", "1.1": "a==2"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "tool.lock").write_text(text)
    assert prefix("uv", "1.0") == prefix("uv", "1.0-again")
    assert prefix("uv", "1.0") != prefix("uv", "1.1")
    assert prefix("conda", "1.0") == prefix("conda", "1.1") == tmp_path / "conda"
    assert prefix("none", "1.0") is None


def test_calls_of_snakemake_are_answered_without_any_variable(tmp_path: Path) -> None:
    folder = environments.standin_folder(tmp_path)

    def conda(*arguments: str) -> str:
        command = [str(folder / "conda"), *arguments]
        answer = subprocess.run(command, env={}, capture_output=True, text=True, check=True)
        return answer.stdout

    info = json.loads(conda("info", "--json"))
    assert info["conda_prefix"] == str(folder.parent)
    assert info["platform"].startswith(("linux-", "osx-"))
    assert conda("--version").split()[1] == "99.0.0"
    priority = json.loads(conda("config", "--get", "channel_priority", "--json"))
    assert priority == {"get": {"channel_priority": "strict"}}
    assert conda("clean", "-y", "--tarballs") == ""


@pytest.mark.parametrize("call", ["list --explicit", "create --file x.pin.txt --yes", "env export"])
def test_any_other_call_fails_and_is_named(tmp_path: Path, call: str) -> None:
    conda = str(environments.standin_folder(tmp_path) / "conda")
    answer = subprocess.run([conda, *call.split()], capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert f"conda {call}" in answer.stderr
    assert "Miniforge" in answer.stderr


def test_an_unknown_option_of_env_create_is_named(tmp_path: Path) -> None:
    conda = str(environments.standin_folder(tmp_path) / "conda")
    command = [conda, "env", "create", "--file", "x", "--prefix", "y", "--solver", "z"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "--solver" in answer.stderr


def test_the_stand_in_works_from_a_folder_with_a_strange_name(tmp_path: Path) -> None:
    root = tmp_path / 'it\'s "odd" $HOME'
    folder = environments.standin_folder(root)
    answer = output_of([str(folder / "conda"), "info", "--json"])
    # Snakemake puts it into a command as it is
    assert shlex.split(json.loads(answer)["conda_prefix"]) == [str(folder.parent)]


def test_a_damaged_stand_in_is_written_again(tmp_path: Path) -> None:
    folder = environments.standin_folder(tmp_path)
    (folder / "activate").unlink()
    assert environments.standin_folder(tmp_path) == folder
    assert (folder / "activate").is_file()


def test_a_store_that_cannot_be_written_says_which_setting_to_change(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailed, match="JOBRUNNER_ENVS"):
        environments.standin_folder(tmp_path / "file")


@pytest.mark.parametrize(
    ("conda", "pep440"),
    [
        ("", ""),
        ("=3.12", "==3.12.*"),
        (" 3.12", "==3.12.*"),
        ("3.11.*", "==3.11.*"),
        ("=3.11.*", "==3.11.*"),
        ("==3.12.1", "==3.12.1"),
        ("3.12.1", "==3.12.1"),
        (">=3.11,<3.14", ">=3.11,<3.14"),
        (">=3.11.*, !=3.12.*", ">=3.11,!=3.12.*"),
        ("~=3.11", "~=3.11"),
    ],
)
def test_python_versions_of_conda_are_translated(conda: str, pep440: str) -> None:
    assert pythons.python_specifier(conda.strip()) == pep440


@pytest.mark.parametrize("text", ["3.11|3.12", "=3.12=h123_cpython", "[version='>=3.11']", "x"])
def test_python_versions_that_only_conda_knows_are_refused(text: str) -> None:
    with pytest.raises(pythons.UnknownSpecifier, match=r"python >=3\.11"):
        pythons.python_specifier(text)


def test_a_python_that_is_not_there_is_reported_with_those_that_are() -> None:
    with pytest.raises(EnvironmentFailed) as raised:
        pythons.find("==3.99.*", "envs/x.yaml")
    assert "envs/x.yaml needs python ==3.99.*" in raised.value.message
    assert pythons.own().version in raised.value.message


def test_every_package_that_needs_conda_is_named(tmp_path: Path) -> None:
    file = tmp_path / "gams.yaml"
    file.write_text(
        "channels: [conda-forge]\nvariables: {A: b}\ndependencies:\n  - python =3.11\n"
        "  - r-base =4.3\n  - conda-forge::gdal>=3\n  - pip\n  - pip: [six]\n"
    )
    with pytest.raises(EnvironmentFailed) as raised:
        read_spec(file)
    for wanted in (str(file), "r-base =4.3", "conda-forge::gdal>=3", "`variables`", "Miniforge"):
        assert wanted in raised.value.message
    assert len(raised.value.problems) == 3
    assert "six" not in raised.value.message


@pytest.mark.parametrize(
    "text", ["", "[]", "dependencies: python", "a: [", "dependencies:\n- {x: 1}"]
)
def test_what_is_no_environment_file_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(EnvironmentFailed, match=r"x\.yaml"):
        read_spec(file)


@pytest.mark.parametrize(
    "line",
    [
        "six",
        "pandas[parquet]>=2,<3 ; python_version < '3.13'",
        "six==1.17.0 --hash=sha256:00",
        "tool @ git+https://example.org/tool.git@0123456",
        "tool @ https://example.org/tool-1.0-py3-none-any.whl",
        "git+ssh://git@example.org/tool.git",
        "--pre",
        "--only-binary :all:",
        "--no-binary=six",
    ],
)
def test_lines_that_fix_the_content_are_accepted(line: str) -> None:
    check_line(line)


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("-e .", "editable"),
        ("--editable ./tool", "editable"),
        ("./tool", "local folder"),
        ("../tool.whl", "local folder"),
        ("/opt/tool", "local folder"),
        ("file:///opt/tool.whl", "local folder"),
        ("tool @ file:///opt/tool.whl", "only https"),
        ("-r more.txt", "copy of the environment file"),
        ("-c limits.txt", "copy of the environment file"),
        ("--index-url https://example.org/simple", "UV_DEFAULT_INDEX"),
        ("--extra-index-url=https://example.org/simple", "UV_DEFAULT_INDEX"),
        ("-f https://example.org", "UV_DEFAULT_INDEX"),
        ("--config-settings x", "not supported"),
        ("six==", "no requirement"),
    ],
)
def test_lines_that_do_not_are_refused_with_advice(line: str, advice: str) -> None:
    with pytest.raises(Refused, match=advice):
        check_line(line)


def test_all_refused_lines_are_listed_at_once(tmp_path: Path) -> None:
    file = environment_file(tmp_path / "x.yaml", "-e .", "six", "--index-url https://u:p@h/")
    with pytest.raises(EnvironmentFailed) as raised:
        read_spec(file)
    assert len(raised.value.problems) == 2


def test_activation_hides_an_outer_environment_under_strict_bash(tmp_path: Path) -> None:
    activate = environments.standin_folder(tmp_path) / "activate"
    (tmp_path / "env 1" / "bin").mkdir(parents=True)
    _program(tmp_path / "env 1" / "bin" / "python", "#!/bin/sh\necho mine\n")
    (tmp_path / "link").symlink_to(tmp_path / "env 1")
    script = f"""set -euo pipefail; source {activate} '{tmp_path}/link'
        python; echo "$CONDA_PREFIX"; echo "${{VIRTUAL_ENV-}}${{PYTHONHOME-}}${{PYTHONPATH-}}" """
    shown = output_of(
        ["bash", "-c", script], VIRTUAL_ENV="/outer", PYTHONHOME="/home", PYTHONPATH="/path"
    )
    assert shown.splitlines() == ["mine", str(tmp_path / "env 1"), ""]


def test_activation_of_what_is_no_environment_stops_the_rule(tmp_path: Path) -> None:
    activate = environments.standin_folder(tmp_path) / "activate"
    script = f"set -euo pipefail; source {activate} '{tmp_path}/none'; echo went on"
    answer = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert answer.returncode != 0
    assert "went on" not in answer.stdout
    assert f"{tmp_path}/none" in answer.stderr
