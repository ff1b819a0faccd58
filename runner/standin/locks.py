"""Lock files: exact versions with hashes, found by the digest of the environment file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from packaging.specifiers import SpecifierSet

from runner import share
from runner.errors import EnvironmentFailed
from runner.files import atomic
from runner.standin import uvtool
from runner.standin.requirements import options_and_packages
from runner.standin.spec import EnvironmentSpec, read_spec

VARIABLE = "JOBRUNNER_LOCKS"
_OLDEST = 11  # Python 3.11 is the oldest that the project supports
_NEWEST = 30
_INDEX = re.compile(r"^(--index-url|--extra-index-url|-i|--find-links|-f)\b", re.MULTILINE)


def header(digest: str) -> str:
    """Give the first line of the lock of an environment file with this SHA-256."""
    return f"# locks: sha256:{digest}"


def folders(given: Iterable[Path] = ()) -> list[Path]:
    """Give the folders where locks are looked for, in order.

    First those given, then those of ``JOBRUNNER_LOCKS``, then the runner's own ``envs/``.
    """
    named = os.environ.get(VARIABLE, "").split(os.pathsep)
    return [*given, *(Path(name) for name in named if name), share.root() / "envs"]


def find(spec: EnvironmentSpec, given: Iterable[Path] = ()) -> str | None:
    """Give the text of the lock made for exactly this environment file, if there is one.

    Parameters
    ----------
    spec : EnvironmentSpec
        The environment.
    given : iterable of Path
        Lock files, or folders with ``*.lock`` files, to look at first.
    """
    wanted = header(spec.digest)
    for place in folders([*given, spec.file.parent]):
        for path in sorted(place.glob("*.lock")) if place.is_dir() else [place]:
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            if text.split("\n", 1)[0].strip() == wanted:
                return text
    return _named_in(spec)


def _named_in(spec: EnvironmentSpec) -> str | None:
    """Follow a line ``# lock: PATH`` of the file itself: Snakemake hands over a copy of it."""
    for line in spec.file.read_text(encoding="utf-8").splitlines():
        if line.startswith("# lock: ") and (path := Path(line[8:].strip())).is_file():
            text = path.read_text(encoding="utf-8")
            return text if text.startswith(header(spec.digest)) else None
    return None


def uv_options(lock: str) -> list[str]:
    """Give uv's options that a lock names in a line ``# uv: …``: as of which date it was made.

    They matter for what is built from source: its build tools are of that date, too.
    """
    named = [line[6:].split() for line in lock.splitlines()[:3] if line.startswith("# uv: ")]
    return [option for options in named for option in options if option.startswith("--exclude-")]


def body(lock: str) -> str:
    """Give a lock without its comments: what gets installed, and is part of the key."""
    return "\n".join(line for line in lock.splitlines() if not line.startswith("#")) + "\n"


def write(environment: Path) -> Path:
    """Resolve an environment file and write its lock beside it.

    The lock serves every platform and every Python the file allows. It names no index address.

    Parameters
    ----------
    environment : Path
        ``envs/<tool>.yaml``; the lock is ``envs/<tool>.lock``.

    Returns
    -------
    Path
        The lock.

    Raises
    ------
    EnvironmentFailed
        If the file needs conda, or has no solution.
    """
    spec = read_spec(environment)
    extra, packages = options_and_packages(spec.requirements)
    options = ["--universal", "--python-version", _lowest(spec), *extra]
    problem = f"The packages of {environment} do not fit together"
    text = uvtool.resolve("\n".join(packages), problem=problem, options=options)
    if _INDEX.search(text):
        raise EnvironmentFailed(f"The lock of {environment} would name a package index.")
    target = environment.with_suffix(".lock")
    with atomic(target) as stream:
        stream.write(f"{header(spec.digest)}\n{text}".encode())
    return target


def is_current(environment: Path) -> bool:
    """Say whether the lock beside an environment file was made for what the file says now."""
    lock = environment.with_suffix(".lock")
    wanted = header(read_spec(environment).digest)
    return lock.is_file() and lock.read_text(encoding="utf-8").startswith(wanted + "\n")


def _lowest(spec: EnvironmentSpec) -> str:
    allowed = SpecifierSet(spec.python)
    for minor in range(_OLDEST, _NEWEST):
        # 3.N.99 stands for the newest patch: `>=3.11.4` allows 3.11
        if allowed.contains(f"3.{minor}.99") or allowed.contains(f"3.{minor}.0"):
            return f"3.{minor}"
    raise EnvironmentFailed(f"{spec.file} allows no Python from 3.{_OLDEST} on: {spec.python}.")
