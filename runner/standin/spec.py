"""Read an environment file, as far as uv can build it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runner.errors import EnvironmentFailed
from runner.standin.pythons import UnknownSpecifier, python_specifier
from runner.standin.requirements import Refused, check_line

_NAME = re.compile(r"^(?:(?P<channel>[\w./:-]+)::)?(?P<name>[\w.-]+)(?P<version>.*)$")
_IGNORED = {"name", "channels", "prefix", "dependencies", "platforms"}
_ADVICE = (
    "Take it from PyPI instead (list it under `pip:`), or install a real conda, for example "
    "Miniforge, put it on PATH and set `environments: conda`."
)


@dataclass(frozen=True)
class EnvironmentSpec:
    """What an environment file asks for.

    Attributes
    ----------
    file : Path
        Where it was read.
    digest : str
        SHA-256 of its bytes: what a lock names in its first line.
    python : str
        PEP 440 specifiers of the interpreter; empty if any will do.
    requirements : tuple of str
        Requirement lines of the ``pip:`` list.
    """

    file: Path
    digest: str
    python: str
    requirements: tuple[str, ...]


def read_spec(file: Path) -> EnvironmentSpec:
    """Read an environment file that needs only ``python`` and ``pip:`` packages.

    Raises
    ------
    EnvironmentFailed
        If it cannot be read, or has anything that only conda can provide: one problem each.
    """
    try:
        content = file.read_bytes()
        document = yaml.safe_load(content)
    except (OSError, yaml.YAMLError) as error:
        raise EnvironmentFailed(f"The environment file {file} cannot be read: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("dependencies"), list):
        raise EnvironmentFailed(f"{file} is no environment file: it has no list `dependencies`.")
    problems = [
        f"The key `{key}` is known to a real conda only." for key in document.keys() - _IGNORED
    ]
    pythons: list[str] = []
    requirements: list[str] = []
    for item in document["dependencies"]:
        problems += _dependency(item, pythons, requirements)
    if problems:
        listed = "\n".join(f"- {problem}" for problem in sorted(problems))
        raise EnvironmentFailed(
            f"The environment {file} cannot be built without conda:\n{listed}\n{_ADVICE}",
            [{"message": problem} for problem in sorted(problems)],
        )
    digest = hashlib.sha256(content).hexdigest()
    return EnvironmentSpec(file, digest, ",".join(filter(None, pythons)), tuple(requirements))


def _dependency(item: Any, pythons: list[str], requirements: list[str]) -> list[str]:
    """Sort one entry of ``dependencies`` into `pythons` or `requirements`; give its problems."""
    if isinstance(item, dict) and set(item) == {"pip"} and isinstance(item["pip"], list):
        return [problem for line in item["pip"] for problem in _pip_line(line, requirements)]
    match = _NAME.match(item.strip()) if isinstance(item, str) else None
    if match is None:
        return [f"The entry {item!r} is not understood."]
    name, version = match["name"].lower(), match["version"].strip()
    if name == "pip":
        return []  # uv installs; whoever wants pip *in* the environment lists it under `pip:`
    if name != "python":
        return [f"The package {item!r} comes from a conda channel."]
    try:
        pythons.append(python_specifier(version))
    except UnknownSpecifier as error:
        return [str(error)]
    return []


def _pip_line(line: Any, requirements: list[str]) -> list[str]:
    if not isinstance(line, str):
        return [f"The entry {line!r} of the `pip:` list is not understood."]
    text = re.sub(r"(^|\s)#.*$", "", line).strip()
    if not text:
        return []
    try:
        check_line(text)
    except Refused as error:
        return [f"{line!r} in the `pip:` list: {error}"]
    requirements.append(text)
    return []
