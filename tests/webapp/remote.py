"""The command line as a client of a running service, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.webapp.running import Running

WAITS = "echo begins; until test -e {}; do sleep 0.05; done"


@dataclass
class Remote:
    """Somebody on another machine: own folders, an address and a token."""

    folder: Path
    server: str
    token: str
    further: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Give the variables of that person."""
        named = {
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "JOBRUNNER_HOME": str(self.folder / "home"),
            "JOBRUNNER_SERVER": self.server,
            "JOBRUNNER_TOKEN": self.token,
            "COLUMNS": "160",
            **self.further,
        }
        given = {**os.environ, **named}
        return {name: value for name, value in given.items() if value}

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "runner", *words],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with self.start(*words) as process:
            output, errors = process.communicate(timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, output, errors)

    def json(self, *words: str, code: int = 0) -> Any:
        """Run a command with ``--json`` and give its document."""
        answer = self.run(*words, "--json")
        assert answer.returncode == code, answer.stdout + answer.stderr
        return json.loads(answer.stdout)

    def input(self, text: str = "one two\n") -> str:
        """Write the input of a toy job and give the option that names it."""
        path = self.folder / "some words.txt"
        path.write_text(text)
        return f"text={path}"

    def submit(self, **params: str) -> str:
        """Submit a toy job and give its id."""
        options = [f"--param={name}={value}" for name, value in params.items()]
        return str(self.json("submit", "toy", "--input", self.input(), *options)["id"])


def remote_of(
    running: Running, folder: Path, environment: Mapping[str, str] | None = None
) -> Remote:
    """Give somebody who uses a running service."""
    folder.mkdir(parents=True, exist_ok=True)
    return Remote(folder, running.url, running.token, dict(environment or {}))
