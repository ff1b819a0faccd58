"""The environment of a processing repository: resolved once, as of a date, kept for ever."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import yaml
from packaging.version import Version

from runner.errors import EnvironmentFailed, ProcessingFailed
from runner.files import atomic
from runner.processing.requirement_files import LISTING, read_requirements
from runner.standin import locks, pythons, uvtool
from runner.standin.pythons import Interpreter
from runner.standin.requirements import options_and_packages

# When each Python came out. Scientific packages follow weeks later, hence the margin.
_RELEASED = {11: date(2022, 10, 24), 12: date(2023, 10, 2), 13: date(2024, 10, 7)}
_RELEASED |= {14: date(2025, 10, 7)}
_MARGIN = timedelta(days=90)
_UNDATED = re.compile(r"`([\w.-]+)` was filtered by `exclude-newer`(.*)")
_ROUNDS = 25
_NOTE = "# note: "


def ensure(
    folder: Path,
    checkout: Path,
    *,
    repository: str,
    as_of: date | None,
    committed: datetime | None,
    beside: Sequence[str],
) -> tuple[Path, list[str]]:
    """Give the environment file of a checkout; resolve it if that was never done.

    Beside ``environment.yaml`` lies ``environment.lock``, with hashes. A date given has files of
    its own: ``environment-2024-06-01.yaml``.

    Parameters
    ----------
    folder : Path
        Where the two files are kept.
    checkout : Path
        The repository's files.
    repository : str
        Its address, for messages.
    as_of : date or None
        Only packages uploaded up to this day are used.
    committed : datetime or None
        When the pinned commit was made: the limit if no date is given. None for a plain folder,
        which gets what is newest now.
    beside : sequence of str
        Requirements added to those of the repository, for the program that runs it.

    Returns
    -------
    tuple of (Path, list of str)
        The environment file, and what a person should know about the resolution.

    Raises
    ------
    ProcessingFailed
        If a line cannot be honoured, or there is no solution (in the resolver's own words).
    """
    target = folder / (f"environment-{as_of}.yaml" if as_of else "environment.yaml")
    if target.is_file():
        lines = target.read_text(encoding="utf-8").splitlines()
        return target, [line.removeprefix(_NOTE) for line in lines if line.startswith(_NOTE)]
    requirements, constraints = read_requirements(checkout, repository)
    limit = _limit(as_of, committed)
    python = _interpreter(limit.date() if limit else None)
    text, warnings = _resolve(
        [*requirements, *beside], constraints, python=python, limit=limit, repository=repository
    )
    if not (checkout / LISTING).is_file():
        warnings.append(f"{repository} has no {LISTING}: nomenclature-iamc is used as of then.")
    about = [f"Made by jobrunner from {LISTING} of {repository}", f"as of {limit or 'now'}"]
    _write(target, text, python, [*about, *(f"note: {warning}" for warning in warnings)])
    return target, warnings


def _limit(as_of: date | None, committed: datetime | None) -> datetime | None:
    if as_of is not None:  # that day included
        return datetime.combine(as_of + timedelta(days=1), time(), UTC)
    return committed.astimezone(UTC) if committed is not None else None


def _interpreter(limit: date | None) -> Interpreter:
    """Give the runner's own Python, or an older one if packages of that day did not know it yet."""
    if limit is None or _known_by(pythons.own(), limit):
        return pythons.own()
    fitting = [p for p in pythons.installed() if _known_by(p, limit)]
    return max(fitting, key=lambda p: Version(p.version)) if fitting else pythons.own()


def _known_by(interpreter: Interpreter, limit: date) -> bool:
    minor = Version(interpreter.version).minor
    oldest = min(_RELEASED)
    return minor >= oldest and _RELEASED.get(minor, date.max - _MARGIN) + _MARGIN <= limit


def _resolve(
    requirements: list[str],
    constraints: list[str],
    *,
    python: Interpreter,
    limit: datetime | None,
    repository: str,
) -> tuple[str, list[str]]:
    extra, packages = options_and_packages(tuple(requirements))
    undated: list[str] = []
    stamp = limit.strftime("%Y-%m-%dT%H:%M:%SZ") if limit else None
    problem = f"The packages that {LISTING} of {repository} asks for cannot be had together"
    problem += f" as of {stamp} with Python {python.version}" if stamp else ""
    with _constraints_file(constraints) as options:
        for _ in range(_ROUNDS):
            dated = [f"--exclude-newer={stamp}"] if stamp else []
            dated += [f"--exclude-newer-package={name}=false" for name in undated]
            try:
                text = uvtool.resolve(
                    "\n".join(packages),
                    problem=problem,
                    options=["--python", python.path, *extra, *options, *dated],
                )
            except EnvironmentFailed as error:
                new = _without_date(error.message) - set(undated)
                if not new:
                    raise ProcessingFailed(f"{error.message}\n{_advice(stamp)}") from error
                undated += sorted(new)
                continue
            return (f"# uv: {' '.join(dated)}\n" if dated else "") + text, [
                f"The package index gives no upload date of {name}: the newest version is used."
                for name in undated
            ]
    raise ProcessingFailed(f"{problem}: the package index gives no upload dates.")


def _without_date(message: str) -> set[str]:
    """Give the packages that were left out because the index does not say how old they are."""
    return {name for name, rest in _UNDATED.findall(message) if "published at" not in rest}


def _advice(stamp: str | None) -> str:
    if stamp is None:
        return f"Correct {LISTING}."
    return f"Give another date (as_of), or correct {LISTING} and name the new commit."


@contextmanager
def _constraints_file(lines: Sequence[str]) -> Iterator[list[str]]:
    if not lines:
        yield []
        return
    with tempfile.NamedTemporaryFile("w", prefix="constraints-", suffix=".txt") as stream:
        stream.write("\n".join(lines) + "\n")
        stream.flush()
        yield ["--constraint", stream.name]


def _write(target: Path, text: str, python: Interpreter, about: Sequence[str]) -> None:
    """Write the lock, then the environment file that it locks: whoever sees that has both."""
    lock = target.with_suffix(".lock")
    pins = [
        line.removesuffix("\\").strip()
        for line in text.splitlines()
        if line.strip() and not line.startswith((" ", "#", "-"))
    ]
    minor = ".".join(python.version.split(".")[:2])
    document = {
        "channels": ["conda-forge", "nodefaults"],
        "dependencies": [f"python ={minor}", "pip", {"pip": pins}],
    }
    comments = "".join(f"# {line}\n" for line in [*about, f"lock: {lock}"])
    content = (comments + yaml.safe_dump(document, sort_keys=False, width=1000)).encode()
    with atomic(lock) as stream:
        stream.write(f"{locks.header(hashlib.sha256(content).hexdigest())}\n{text}".encode())
    with atomic(target) as stream:
        stream.write(content)
