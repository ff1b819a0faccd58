"""Secrets by reference: a file of configuration says where one is found, never what it is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from runner.errors import InvalidConfiguration

PATTERN = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"
_COMMENT = re.compile(r"(?m)(^|\s)#.*$")
_NAMED = re.compile(r"\benv:([A-Za-z_][A-Za-z0-9_]*)")


def is_reference(text: str) -> bool:
    """Tell whether `text` is ``env:NAME`` or ``file:PATH``."""
    return re.match(PATTERN, text) is not None


def read(reference: str, who: str) -> str:
    """Give what a reference stands for.

    Parameters
    ----------
    reference : str
        ``env:NAME`` (an environment variable) or ``file:PATH``.
    who : str
        Beginning of the message if it is not there: "Profile x takes the address from".

    Raises
    ------
    InvalidConfiguration
        If it is not there, or empty.
    """
    kind, _, where = reference.partition(":")
    if kind == "env":
        if not os.environ.get(where):
            raise InvalidConfiguration(f"{who} the environment variable {where}, which is not set.")
        return os.environ[where]
    try:
        found = Path(where).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidConfiguration(f"{who} {where}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidConfiguration(f"{who} {where}, which is no text.") from error
    if not found:
        raise InvalidConfiguration(f"{who} {where}, which is empty.")
    return found


def variables_in(folders: Iterable[Path]) -> set[str]:
    """Give the environment variables that the YAML files of `folders` refer to.

    Files that cannot be read as YAML count, too: their secrets are no less secret.
    """
    found: set[str] = set()
    for folder in folders:
        for path in folder.glob("*.yaml"):
            try:
                text = path.read_text(encoding="utf-8", errors="replace")
            except OSError:  # removed meanwhile
                continue
            found.update(_NAMED.findall(_COMMENT.sub("", text)))
    return found
