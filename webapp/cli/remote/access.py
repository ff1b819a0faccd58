"""Which service, and with which token: from options, the environment, the user's own file."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runner.errors import InvalidConfiguration
from runner.files import read_yaml
from webapp.client.connection import normal

SERVER_VARIABLE = "JOBRUNNER_SERVER"
TOKEN_VARIABLE = "JOBRUNNER_TOKEN"  # noqa: S105 - a name
DEFAULT_SERVER = "http://127.0.0.1:8000"
_SECRETS = ("token", "token_file")


@dataclass(frozen=True)
class Access:
    """A service, the token for it, and in a few words where that was found."""

    server: str
    token: str
    found: str


def file() -> Path:
    """Give the user's own file: ``$XDG_CONFIG_HOME/jobrunner/client.yaml``."""
    folder = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(folder).expanduser() / "jobrunner" / "client.yaml"


def find(server: str | None) -> Access:
    """Give the service that was named, else that of the environment or the file, and its token.

    A token of the file goes to the service that it was written down for, and to no other.

    Raises
    ------
    InvalidConfiguration
        If there is no token, the file is wrong, or others may read it.
    """
    path = file()
    kept = _read(path)
    chosen = normal(
        server or os.environ.get(SERVER_VARIABLE) or kept.get("server") or DEFAULT_SERVER
    )
    if token := os.environ.get(TOKEN_VARIABLE):
        return Access(chosen, _usable(token, f"${TOKEN_VARIABLE}"), f"${TOKEN_VARIABLE}")
    for address, entry in _entries(kept):
        if normal(address) == chosen and (token := _token(entry, path)):
            return Access(chosen, token, str(path))
    raise InvalidConfiguration(
        f"There is no token for {chosen}. Set ${TOKEN_VARIABLE}, or write it to {path}:\n"
        f"  servers:\n    {chosen}: {{token: …}}\n"
        f"and let nobody else read that file: chmod 600 {path}"
    )


def _entries(kept: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Give the services of the file with what it says of each."""
    several = list((kept.get("servers") or {}).items())
    return [*several, (kept.get("server") or DEFAULT_SERVER, kept)]


def _read(path: Path) -> Mapping[str, Any]:
    try:
        kept = read_yaml(path) or {}
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError) as error:
        # not the error's own words: they quote the line, perhaps the one with the token
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        raise InvalidConfiguration(f"{path}{line}: it cannot be read as YAML.") from error
    _check(kept, path, ("server", "servers", *_SECRETS))
    servers = kept.get("servers") or {}
    if not isinstance(servers, dict):
        raise InvalidConfiguration(f"{path}: servers must be a mapping from addresses.")
    for address, entry in servers.items():
        if not isinstance(address, str):
            raise InvalidConfiguration(
                f"{path}: servers.{address}: it must be an address, like https://jobs.example.org."
            )
        _check(entry, path, _SECRETS, f"servers.{address}: ")
    if any(entry.get("token") for _, entry in _entries(kept)):
        _refuse_open(path)
    return dict(kept)


def _check(entry: Any, path: Path, known: tuple[str, ...], where: str = "") -> None:
    if not isinstance(entry, dict):
        raise InvalidConfiguration(f"{path}: {where}it must be a mapping: {', '.join(known)}.")
    if unknown := sorted(str(name) for name in set(entry) - set(known)):
        raise InvalidConfiguration(
            f"{path}: {where}there is no key {', '.join(unknown)}. There are: {', '.join(known)}."
        )
    for name in {"server", *_SECRETS} & set(entry):
        if not isinstance(entry[name], str):
            raise InvalidConfiguration(f"{path}: {where}{name} must be a text.")
    if all(entry.get(name) for name in _SECRETS):
        raise InvalidConfiguration(f"{path}: {where}either token or token_file, not both.")


def _token(entry: Mapping[str, Any], path: Path) -> str | None:
    if named := entry.get("token_file"):
        place = path.parent / Path(named).expanduser()
        try:
            text = place.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidConfiguration(f"{path}: token_file {place} cannot be read.") from error
        _refuse_open(place)
        return _usable(text, str(place))
    return _usable(entry["token"], str(path)) if entry.get("token") else None


def _usable(token: str, where: str) -> str:
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidConfiguration(f"What is in {where} is no token: jr_…, or one of your issuer.")
    return token


def _refuse_open(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise InvalidConfiguration(
            f"{path} holds a token and others may read it (mode {mode:o}). Let nobody else: "
            f"chmod 600 {path}"
        )
