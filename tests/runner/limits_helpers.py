"""A rule's folder and its stage shell, without Snakemake."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from runner import limits
from runner.limits import records
from runner.resources import Plan

HOG = "python3 -c 'x = bytearray(400 << 20); print(len(x))'"


class Rule:
    """The rule ``solve`` of an attempt whose folder has a blank in its path."""

    def __init__(self, root: Path, *, enforce: bool = True, **bounds: Any) -> None:
        self.job = root / "a job"
        self.attempt = self.job / "attempts" / "1"
        self.temporary = root / "temporary files"
        self.temporary.mkdir(parents=True, exist_ok=True)
        plan = Plan({}, {"solve": bounds}, {"solve": bounds}, {})
        with patch.dict(os.environ, TMPDIR=str(self.temporary)):
            programs = limits.prepare(self.attempt, plan, enforce=enforce)
        self.bash = programs / "bash"
        self.folder = self.attempt / "stages" / "solve"
        self.environment = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            **dict.fromkeys(("TMPDIR", "TMP", "TEMP", "TEMPDIR"), str(self.folder)),
        }

    def start(self, command: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command as Snakemake does."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        options = {**pipes, "cwd": self.job, **options}
        return subprocess.Popen(
            f"set -euo pipefail; {command}",
            shell=True,
            executable=str(self.bash),
            env=self.environment,
            **options,
        )

    def run(self, command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with self.start(command, stdin=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(text, timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess([], process.returncode, out, err)

    def note(self) -> dict[str, Any]:
        """Give what was noted down about the only run."""
        (note,) = records.runs(self.attempt, "solve")
        return note

    def groups(self) -> list[str]:
        """Give the control groups that running stage shells of this rule have."""
        notes = [json.loads(note.read_text()) for note in self.folder.glob("running.*.json")]
        return [group for note in notes for group in note["groups"].splitlines()]

    def left(self) -> list[Path]:
        """Give temporary folders and notes that are there."""
        return [*self.temporary.iterdir(), *self.folder.glob("running.*")]


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something holds, at most so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not become true"
        time.sleep(0.02)
