"""Tests that share a server stay in one process, with the versions of pytest and xdist here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = """
import os
from pathlib import Path
import pytest

pytestmark = pytest.mark.xdist_group("shared")

@pytest.mark.parametrize("number", range(4))
def test_where(number):
    with Path(__file__).with_suffix(".seen").open("a") as seen:
        print(os.environ["PYTEST_XDIST_WORKER"], file=seen)
"""


def test_the_tests_of_a_group_run_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "test_group.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "2",
        "--dist",
        "loadgroup",
        "-p",
        "no:cacheprovider",
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    seen = (tmp_path / "test_group.seen").read_text().split()
    assert len(seen) == 4
    assert len(set(seen)) == 1
