"""What the tests of environments and processing repositories share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def environment_file(path: Path, *pip: str, python: str = "python >=3.11,<3.14") -> Path:
    """Write an environment file of `python` and pip packages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["channels: [conda-forge]", "dependencies:", f"  - {python}", "  - pip", "  - pip:"]
    path.write_text("\n".join([*lines, *(f"    - {json.dumps(line)}" for line in pip)]) + "\n")
    return path


def builds(store: Path) -> list[str]:
    """Give the files whose environments were built, in order."""
    log = store / "builds.jsonl"
    return (
        [json.loads(line)["file"] for line in log.read_text().splitlines()] if log.exists() else []
    )


def version_of(prefix: Path, module: str) -> str:
    """Give a module's version as the environment's own interpreter sees it."""
    code = f"import importlib.metadata as m; print(m.version({module!r}))"
    return output_of([str(prefix / "bin" / "python"), "-c", code]).strip()


def output_of(command: list[str], **variables: str) -> str:
    """Run a command that must succeed and give its output."""
    env = {**os.environ, **variables}
    answer = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def start_python(code: str, *arguments: object, **variables: str) -> subprocess.Popen[str]:
    """Start a Python of the runner with `code`, its output piped."""
    command = [sys.executable, "-c", code, *(str(argument) for argument in arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, **variables},
    )


class Repository:
    """A git repository that a test writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, **variables: str) -> str:
        """Run git in it."""
        who = {f"GIT_{r}_{k}": v for r in ("AUTHOR", "COMMITTER") for k, v in _WHO.items()}
        command = ["git", "-C", str(self.path), "-c", "protocol.file.allow=always", *arguments]
        return output_of(command, **{**who, **variables}).strip()

    def commit(self, date: str = "2026-01-15T12:00:00+00:00", **files: str) -> str:
        """Write files (`__` in a name is a slash, `_DOT_` a dot), commit all, give the commit."""
        for name, text in files.items():
            place = self.path / name.replace("__", "/").replace("_DOT_", ".")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "x", GIT_COMMITTER_DATE=date)
        return self.git("rev-parse", "HEAD")


_WHO = {"NAME": "Test", "EMAIL": "test@example.org"}
WORKFLOW = "def main(df):\n    return df\n\n\ndef other(df):\n    return df\n"
