"""Run uv: the one place that knows its environment, its errors and its options."""

from __future__ import annotations

import functools
import os
import re
import subprocess
from collections.abc import Sequence

from runner.errors import EnvironmentFailed, MissingTool

# Would send packages elsewhere, or switch off what every environment must have.
_DROPPED = {
    *("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHONPATH", "PYTHONHOME"),
    *("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "UV_PYTHON", "UV_SYSTEM_PYTHON"),
    *("UV_PROJECT_ENVIRONMENT", "UV_NO_VERIFY_HASHES", "UV_BREAK_SYSTEM_PACKAGES"),
    *("UV_EXCLUDE_NEWER", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_NO_BINARY", "UV_NO_BUILD"),
}
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


@functools.cache
def executable() -> str:
    """Give the uv that came with the runner.

    Raises
    ------
    MissingTool
        If it is not installed.
    """
    try:
        import uv

        return os.fspath(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        raise MissingTool(
            "uv is missing, which builds stage environments where there is no conda. Install it "
            "into the runner's environment: python -m pip install uv"
        ) from None


def environment() -> dict[str, str]:
    """Give the environment uv runs in: the caller's, without what would mislead it."""
    kept = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    kept.setdefault("UV_COMPILE_BYTECODE_TIMEOUT", "600")  # shared storage is slow at first
    kept.setdefault("GIT_TERMINAL_PROMPT", "0")
    return {**kept, "NO_COLOR": "1"}


def run(arguments: Sequence[str], problem: str, stdin: str = "", *, quiet: bool = True) -> str:
    """Run uv and give what it printed.

    It runs in the root folder: a ``pyproject.toml`` or ``uv.toml`` near the job has no say.

    Parameters
    ----------
    arguments : sequence of str
        uv's arguments.
    problem : str
        How the error message begins if uv fails.
    stdin : str, optional
        What uv reads.
    quiet : bool
        Whether uv prints results and errors only; some of its lists count as chatter.

    Raises
    ------
    EnvironmentFailed
        If uv fails, with its own explanation, credentials removed.
    """
    command = [executable(), *(["--quiet"] if quiet else []), "--no-python-downloads", *arguments]
    answer = subprocess.run(
        command,
        check=False,
        input=stdin,
        capture_output=True,
        text=True,
        cwd="/",
        env=environment(),
    )
    if answer.returncode:
        explanation = (answer.stderr.strip() or answer.stdout.strip()) or "uv gave no reason."
        raise EnvironmentFailed(f"{problem}:\n{_CREDENTIALS.sub('***@', explanation)}")
    return answer.stdout


def resolve(lines: str, *, problem: str, options: Sequence[str]) -> str:
    """Resolve requirements to exact versions, with hashes and without any index address.

    Parameters
    ----------
    lines : str
        A requirements file.
    problem : str
        How the error message begins if there is no solution.
    options : sequence of str
        Which Python it is for, as of which date, and the like.

    Returns
    -------
    str
        A lock, without comments. Requirements from git have a commit in it instead of a hash.
    """
    command = ["pip", "compile", "--no-header", "--no-annotate", "--no-emit-index-url"]
    return run([*command, "--generate-hashes", *options, "-"], problem, stdin=lines)
