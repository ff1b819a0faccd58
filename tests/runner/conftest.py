"""A home with the toy job type: three rules that need nothing but a shell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner import launch
from runner.home import Home
from runner.prepared import Prepared

TOY = Path(__file__).resolve().parents[1] / "data" / "toy"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with release ``toy-1``."""
    home = Home(tmp_path / "home")
    home.releases.publish(str(TOY), "toy-1")
    return home


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """An input of the toy job type."""
    path = tmp_path / "some words.txt"
    path.write_text("one two\n")
    return path


@pytest.fixture
def toy(home: Home, text_file: Path) -> Callable[..., Prepared]:
    """Make a job of the toy type with the given parameters."""

    def make(**params: object) -> Prepared:
        return launch.create(
            home,
            "toy",
            inputs={"text": text_file},
            params=params,
            version="toy-1",
            profile_name="plain",
        )

    profiles = home.path / "config" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "plain.yaml").write_text(
        "platform: {embedded: none.db}\nenvironments: none\nlimits: {cores: 2}\n"
    )
    return make


@pytest.fixture
def supervised(home: Home) -> Iterator[Callable[[Prepared], subprocess.Popen[bytes]]]:
    """Start ``jobrunner rerun`` in a process of its own, and kill what is left of it."""
    started: list[subprocess.Popen[bytes]] = []

    def start(prepared: Prepared, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "runner", "rerun", str(prepared.job.path), *options]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
