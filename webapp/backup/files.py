"""Which files of the configuration go into a backup, and which have secrets in them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runner import reference
from runner.errors import InvalidConfiguration

_PLAIN = (".yaml", ".yml")  # what the service reads; other files may have anything in them
_FILE = re.compile(r"""\bfile:([^\n"'}\],]+)""")
_KEYS = re.compile(r"""(?m)^\s*jwks:\s*["']?([^\n"'#]+)""")
_SHORTEST = 6  # characters that count as a secret when they are met in a file


@dataclass(frozen=True)
class Chosen:
    """Files of a backup.

    Attributes
    ----------
    inside : list of Path
        In the folder of the configuration.
    outside : list of Path
        Elsewhere: what the configuration refers to.
    left_out : list of Path
        In the folder, but not in the backup.
    """

    inside: list[Path]
    outside: list[Path]
    left_out: list[Path]


def choose(config: Path, with_secrets: bool) -> Chosen:
    """Choose what of the configuration of a home goes into a backup.

    Without secrets these are its YAML files, but none below ``secrets/``, none that another one
    refers to, and none in which a secret is met that another one refers to.
    """
    everything = sorted(path for path in config.rglob("*") if path.is_file())
    texts = {path: _text(path) for path in everything if path.suffix in _PLAIN}
    referred = {found for path, said in texts.items() for found in _referred(config, path, said)}
    if with_secrets:
        known = {path.resolve() for path in everything}
        return Chosen(everything, sorted(referred - known), [])
    secrets = _secrets(texts.values(), referred)
    open_ = [
        path
        for path, said in texts.items()
        if path.relative_to(config).parts[0] != "secrets"
        and path.resolve() not in referred
        and not any(secret in said for secret in secrets)
    ]
    return Chosen(open_, [], [path for path in everything if path not in open_])


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _referred(config: Path, path: Path, said: str) -> Iterator[Path]:
    """Give the files that a file of the configuration names, wherever its names begin."""
    for where in (*_FILE.findall(said), *_KEYS.findall(said)):
        named = Path(os.path.expanduser(where.strip()))
        for start in (Path.cwd(), config.parent, config, path.parent):
            if (found := (start / named).resolve()).is_file():
                yield found


def _secrets(texts: Iterable[str], referred: set[Path]) -> set[str]:
    """Give what the configuration refers to, to be recognized where it was written down."""
    found = {_text(path).strip() for path in referred}
    for said in texts:
        for name in re.findall(r"\benv:([A-Za-z_][A-Za-z0-9_]*)", said):
            try:
                found.add(reference.read(f"env:{name}", ""))
            except InvalidConfiguration:
                continue
    return {secret for secret in found if len(secret) >= _SHORTEST}
