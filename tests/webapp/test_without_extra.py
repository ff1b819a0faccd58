"""The runner needs nothing of the service: it works where the extra `web` is not installed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.conftest import CACHE, ROOT
from tests.webapp.worlds import make_home

pytestmark = pytest.mark.xdist_group("without-extra")  # it is made once, not by two at once


@pytest.fixture(scope="module")
def bare() -> Path:
    """The command `jobrunner` of an environment with the base lock only; kept between runs."""
    parts = [(ROOT / name).read_bytes() for name in ("requirements.lock", "pyproject.toml")]
    digest = hashlib.sha256(b"\0".join([*parts, sys.version.encode()])).hexdigest()[:16]
    venv, uv = CACHE / "without-extra" / digest, find_uv_bin()
    command = venv / "bin" / "jobrunner"
    if command.is_file():
        return command
    pip = [uv, "pip", "install", "--quiet", "--python", venv / "bin" / "python"]
    for step in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, venv],
        [*pip, "--require-hashes", "--compile-bytecode", "-r", ROOT / "requirements.lock"],
        [*pip, "--no-deps", "--editable", ROOT],
    ):
        subprocess.run(step, check=True)
    return command


def _call(command: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "JOBRUNNER_HOME": str(home)}
    return subprocess.run(
        [command, *words], capture_output=True, text=True, cwd=home.parent, env=environment
    )


def test_it_is_really_without_the_extra(bare: Path) -> None:
    names = ("flask", "apiflask", "rq", "redis", "alembic", "pydantic_settings", "gunicorn")
    code = "import importlib.util as u, sys; print([n for n in sys.argv[1:] if u.find_spec(n)])"
    answer = subprocess.run(
        [bare.with_name("python"), "-c", code, *names], capture_output=True, text=True
    )
    assert answer.stdout.strip() == "[]", answer.stderr


def test_help_shows_what_there_is(bare: Path, tmp_path: Path) -> None:
    answer = _call(bare, tmp_path / "home", "--help")
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.partition("Commands:")[2].splitlines()
    commands = {line.split()[0] for line in lines if line.startswith("  ") and line.split()}
    assert {"run", "rerun", "plan", "status"} <= commands
    assert not {"up", "web", "worker", "capacity", "token", "migrate"} & commands
    assert not {"submit", "list", "show", "follow", "cancel", "pull"} & commands


def test_a_job_runs(bare: Path, tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    words = tmp_path / "words.txt"
    words.write_text("one two\n")
    options = ["--input", f"text={words}", "--version", "toy-1", "--profile", "plain", "--plain"]
    answer = _call(bare, home.path, "run", "toy", *options)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (result,) = home.jobs.glob("*/*/*/*/results/third.txt")
    assert result.read_text().strip() == "3"


@pytest.mark.parametrize("name", ["up", "web", "worker", "capacity", "token", "migrate"])
def test_a_command_of_the_service_says_what_to_install(
    bare: Path, tmp_path: Path, name: str
) -> None:
    answer = _call(bare, tmp_path / "home", name)
    assert answer.returncode == 2
    assert "pip install 'ixmp-jobrunner[web]'" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("name", ["submit", "list", "show", "follow", "cancel", "pull"])
def test_a_command_of_the_client_needs_only_its_own_extra(
    bare: Path, tmp_path: Path, name: str
) -> None:
    answer = _call(bare, tmp_path / "home", name)
    assert answer.returncode == 2
    assert "pip install 'ixmp-jobrunner[client]'" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_rerun_on_a_server_says_what_to_install(bare: Path, tmp_path: Path) -> None:
    answer = _call(bare, tmp_path / "home", "rerun", "ID", "--server", "http://127.0.0.1:1")
    assert answer.returncode == 2
    assert "`jobrunner rerun --server`" in answer.stderr
    assert "pip install 'ixmp-jobrunner[client]'" in answer.stderr


def test_the_commands_of_the_client_work_with_httpx_alone(bare: Path, tmp_path: Path) -> None:
    folder = tmp_path / "httpx"
    folder.mkdir()
    found = next(path for path in sys.path if (Path(path) / "httpx").is_dir())
    for name in ("httpx", "httpcore", "h11", "anyio", "sniffio", "idna", "certifi"):
        for path in Path(found).glob(f"{name}*"):  # the package and its metadata
            (folder / path.name).symlink_to(path)
    environment = {**os.environ, "PYTHONPATH": str(folder), "JOBRUNNER_TOKEN": "jr_a_b"}
    command = [bare, "list", "--server", "http://127.0.0.1:1"]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert answer.returncode == 2
    assert "http://127.0.0.1:1 cannot be reached" in answer.stderr
