"""Python versions: conda's way of writing them, and the interpreters of this machine."""

from __future__ import annotations

import json
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from runner.errors import EnvironmentFailed
from runner.standin import uvtool

_CLAUSE = re.compile(r"^(===|==|!=|>=|<=|~=|>|<|=)?\s*(\d+(?:\.\d+)*)(\.\*)?$")
_SHORT = 2  # `python 3.12` means any 3.12


class UnknownSpecifier(ValueError):
    """A python version written in a way that only conda understands."""


@dataclass(frozen=True)
class Interpreter:
    """A Python of this machine.

    Attributes
    ----------
    path : str
        The executable.
    version : str
        Its full version.
    """

    path: str
    version: str


def python_specifier(text: str) -> str:
    """Translate conda's version of ``python`` to PEP 440.

    Parameters
    ----------
    text : str
        What follows the name: ``""``, ``"=3.12"``, ``">=3.11,<3.14"``, ``"3.11.*"``, …

    Raises
    ------
    UnknownSpecifier
        For builds, alternatives and brackets.
    """
    if not text:
        return ""
    parts = []
    for clause in text.split(","):
        match = _CLAUSE.match(clause.strip())
        if match is None:
            raise UnknownSpecifier(
                f"The version of python, {text!r}, is written in a way that only conda "
                "understands; write it like `python >=3.11,<3.14` or `python =3.12`."
            )
        parts.append(_translate(match[1] or "", match[2], bool(match[3])))
    return ",".join(parts)


def _translate(operator: str, version: str, star: bool) -> str:
    fuzzy = star or operator == "=" or (not operator and version.count(".") < _SHORT)
    if operator in ("", "=", "==", "!="):
        negated = "!=" if operator == "!=" else "=="
        return f"{negated}{version}.*" if fuzzy else f"{negated}{version}"
    return f"{operator}{version}"  # `>=3.11.*` means `>=3.11`


def own() -> Interpreter:
    """Give the interpreter that runs the runner, not its virtual environment."""
    base = getattr(sys, "_base_executable", "") or sys.executable
    return Interpreter(str(Path(base).resolve()), platform.python_version())


def installed() -> list[Interpreter]:
    """Give the interpreters that this machine has: the runner's own first, then the newest."""
    output = uvtool.run(
        ["python", "list", "--only-installed", "--output-format", "json"],
        "uv cannot list the Python interpreters of this machine",
        quiet=False,
    )
    others = [
        Interpreter(entry["path"], entry["version"])
        for entry in json.loads(output)
        if entry["implementation"] == "cpython" and entry.get("variant", "default") == "default"
    ]
    others.sort(key=lambda found: Version(found.version), reverse=True)
    return [own(), *others]


def find(specifier: str, wanted_by: Path | str) -> Interpreter:
    """Find an interpreter; nothing is downloaded.

    The runner's own wins if it fits: it is there on every host that runs the runner.

    Raises
    ------
    EnvironmentFailed
        If there is none, with those that there are.
    """
    fits = SpecifierSet(specifier)
    if fits.contains(own().version, prereleases=True):
        return own()
    known = installed()
    for interpreter in known:
        if fits.contains(interpreter.version):
            return interpreter
    versions = ", ".join(dict.fromkeys(f"{i.version} ({i.path})" for i in known))
    raise EnvironmentFailed(
        f"{wanted_by} needs python {specifier}, which this machine does not have. It has "
        f"{versions}. Install a fitting one, or a real conda (for example Miniforge)."
    )
