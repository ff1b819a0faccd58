"""Where releases come from: folders, and revisions of git repositories."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.errors import InvalidRequest


@contextmanager
def fetched(source: str, revision: str | None) -> Iterator[tuple[Path, str | None]]:
    """Give a folder with the files of a workflow source, and the commit that they are from.

    Parameters
    ----------
    source : str
        A folder; with a revision, path or URL of a git repository.
    revision : str or None
        Branch, tag or commit; None: the folder as it is.

    Raises
    ------
    InvalidRequest
        If it cannot be read.
    """
    if revision is None:
        if not Path(source).is_dir():
            raise InvalidRequest(f"{source} is no folder. For a git URL name a --revision.")
        yield Path(source).resolve(), None
        return
    with tempfile.TemporaryDirectory(prefix="jobrunner-publish-") as scratch:
        repository = Path(scratch, "repository")
        _git("clone", "--quiet", "--no-checkout", "--", source, str(repository))
        names = (f"refs/remotes/origin/{revision}", revision)
        commit = next((c for name in names if (c := _commit(repository, name))), None)
        if commit is None:
            raise InvalidRequest(f"{source} has no revision {revision!r}.")
        _git("-C", str(repository), "checkout", "--quiet", "--detach", commit)
        yield repository, commit


def _commit(repository: Path, name: str) -> str | None:
    command = ["git", "-C", str(repository), "rev-parse", "--verify", "--quiet"]
    answer = subprocess.run(
        [*command, "--end-of-options", name + "^{commit}"], capture_output=True, text=True
    )
    return answer.stdout.split()[-1] if answer.returncode == 0 else None


def _git(*arguments: str) -> None:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    answer = subprocess.run(["git", *arguments], capture_output=True, env=environment)
    if answer.returncode:
        raise InvalidRequest(f"git could not read the source: {answer.stderr.decode().strip()}")
