"""Run git: never asking, never showing a credential, never taking a name for an option."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from runner.errors import MissingTool, ProcessingFailed

_URL = re.compile(r"^(https?|ssh|git|file)://", re.IGNORECASE)
_SCP = re.compile(r"^(?!-)(?:[\w.-]+@)?[\w.-]+:(?!//|:)[^\s]+$")  # not ext::command
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_OF_A_CALLER = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"),
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_COMMON_DIR"),
)
# A helper for one host that answers from variables: nothing on a command line or on disk.
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" '
    '"$JOBRUNNER_GIT_USERNAME" "$JOBRUNNER_GIT_PASSWORD"; }; f'
)


@dataclass(frozen=True)
class Address:
    """Where a repository is, its credentials kept apart.

    Attributes
    ----------
    url : str
        URL or path, without credentials: may be stored and shown.
    username, password : str
        What stood in the URL; empty if nothing did.
    """

    url: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


def is_url(source: str) -> bool:
    """Say whether `source` is a git URL (``https://…``, ``file://…``, ``git@host:…``)."""
    return bool(_URL.match(source) or _SCP.match(source))


def address(source: str) -> Address:
    """Split the credentials off a git URL.

    The name before ``@`` is one of them for http, where tokens stand there; for ssh it is not.
    """
    parts = urlsplit(source) if _URL.match(source) else None
    if parts is None or "@" not in parts.netloc:
        return Address(source)
    host = parts.netloc.rpartition("@")[2]
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not parts.scheme.lower().startswith("http"):
        clean = parts._replace(netloc=f"{parts.username}@{host}" if parts.username else host)
        return Address(urlunsplit(clean))
    return Address(urlunsplit(parts._replace(netloc=host)), username, password)


def environment(credentials: Address | None = None) -> dict[str, str]:
    """Give the variables git runs with; credential helpers, proxies and certificates stay."""
    variables = {k: v for k, v in os.environ.items() if k not in _OF_A_CALLER}
    variables |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_LFS_SKIP_SMUDGE": "1"}
    variables.setdefault("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
    if credentials is not None and (credentials.username or credentials.password):
        parts = urlsplit(credentials.url)
        key = f"credential.{parts.scheme}://{parts.netloc}.helper"
        n = int(variables.get("GIT_CONFIG_COUNT") or 0)
        for i, value in enumerate(("", _HELPER), n):  # the empty one forgets other helpers
            variables |= {f"GIT_CONFIG_KEY_{i}": key, f"GIT_CONFIG_VALUE_{i}": value}
        variables["GIT_CONFIG_COUNT"] = str(n + 2)
        variables["JOBRUNNER_GIT_USERNAME"] = credentials.username
        variables["JOBRUNNER_GIT_PASSWORD"] = credentials.password
    return variables


def attempt(
    arguments: Sequence[str],
    *,
    credentials: Address | None = None,
    extra: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run git and give what came of it, without credentials.

    It runs in a session of its own: ssh finds no terminal to ask at, and fails instead.

    Raises
    ------
    MissingTool
        If there is no git.
    """
    variables = {**environment(credentials), **(extra or {})}
    try:
        answer = subprocess.run(
            ["git", *arguments],
            check=False,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            env=variables,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise MissingTool("git is missing; processing repositories need it.") from None
    answer.stderr = redact(answer.stderr, credentials)
    return answer


def run(
    arguments: Sequence[str],
    problem: str,
    *,
    credentials: Address | None = None,
    extra: Mapping[str, str] | None = None,
) -> str:
    """Run git and give its output.

    Raises
    ------
    ProcessingFailed
        If it fails: `problem`, then git's own words.
    """
    answer = attempt(arguments, credentials=credentials, extra=extra)
    if answer.returncode:
        raise ProcessingFailed(f"{problem}: {answer.stderr.strip() or 'git gave no reason.'}")
    return answer.stdout


def redact(text: str, credentials: Address | None = None) -> str:
    """Remove credentials from what git says."""
    if credentials is not None and credentials.password:
        text = text.replace(credentials.password, "***")
    return _CREDENTIALS.sub("***@", text)


def top_level(folder: Path) -> Path | None:
    """Give the top folder of the git work tree (or the bare repository) around `folder`, if any."""
    answer = attempt(["-C", str(folder), "rev-parse", "--is-bare-repository", "--absolute-git-dir"])
    if answer.returncode:
        if (folder / ".git").exists():
            raise ProcessingFailed(f"git cannot read {folder}: {answer.stderr.strip()}")
        return None
    bare, git_dir = answer.stdout.splitlines()[:2]
    if bare == "true":
        return Path(git_dir)
    shown = attempt(["-C", str(folder), "rev-parse", "--show-toplevel"])
    return Path(shown.stdout.rstrip("\n")) if shown.returncode == 0 else None
