"""A copy of the processing repository of the attempt's own: nomenclature and its users write to it.

Runs in the processing repository's environment: Python 3.9 and any pandas.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from stagekit.problems import StageError


def prepare(scratch: Path, checkout: Path | None, repository: str, commit: str) -> Path:
    """Make a fresh copy of the processing repository below `scratch`.

    Parameters
    ----------
    scratch : Path
        A folder that belongs to this stage; what an earlier try left there is removed.
    checkout : Path or None
        The immutable checkout. If the folder does not exist, the repository is cloned.
    repository, commit : str
        Where the repository is and which commit of it to take.

    Returns
    -------
    Path
        The copy, named as the repository is: nomenclature takes the project's name from it.

    Raises
    ------
    StageError
        If there is no checkout and the repository cannot be cloned.
    """
    remove(scratch)
    copy = scratch / (_name(repository) or "repository")
    copy.parent.mkdir(parents=True)
    if checkout is not None and checkout.is_dir():
        # no hard links: git and workflow.py write into files that exist
        shutil.copytree(checkout, copy, symlinks=True)
        _make_writable(copy)
    else:
        _clone(repository, commit, copy)
    return copy


def remove(folder: Path) -> None:
    """Remove a folder of ours with everything in it, read-only parts included."""
    if folder.is_dir():
        _make_writable(folder)
        shutil.rmtree(folder)


def _name(repository: str) -> str:
    path = (
        urlsplit(repository).path if "://" in repository else repository.rsplit(":", maxsplit=1)[-1]
    )
    name = Path(path.rstrip("/")).name
    return name[: -len(".git")] if name.endswith(".git") else name


def _make_writable(folder: Path) -> None:
    for path, folders, files in os.walk(folder):
        for name in [".", *folders, *files]:
            entry = os.path.join(path, name)
            if not os.path.islink(entry):
                os.chmod(entry, os.stat(entry).st_mode | stat.S_IRUSR | stat.S_IWUSR)


def _clone(repository: str, commit: str, target: Path) -> None:
    if not repository or not commit:
        raise StageError(
            "repository_unavailable",
            "The checkout of the processing repository is not there, and no repository and commit"
            " are given from which it could be cloned.",
        )
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    commands = (
        ["git", "clone", "--quiet", "--no-checkout", "--", repository, str(target)],
        ["git", "-C", str(target), "checkout", "--quiet", "--detach", commit],
    )
    for command in commands:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines() or [f"git ended with code {done.returncode}"]
            raise StageError(
                "repository_unavailable",
                f"The processing repository {_shown(repository)} at {commit[:12]} cannot be"
                f" fetched: {_shown(reason[-1])}",
            )


def _shown(text: str) -> str:
    """Drop user names and passwords from addresses in `text`."""
    words = []
    for word in text.split(" "):
        scheme, mark, rest = word.partition("://")
        words.append(scheme + mark + rest.rpartition("@")[2] if mark else word)
    return " ".join(words)
