"""Processing repositories that are plain folders: pinned by their content."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from runner.errors import ProcessingFailed
from runner.files import sha256
from runner.processing import gittool

_IGNORED = {".git", ".snakemake", "__pycache__", ".ipynb_checkpoints", ".venv", ".pytest_cache"}
_IGNORED |= {".mypy_cache", ".ruff_cache", ".DS_Store"}


def files(folder: Path) -> list[Path]:
    """Give the files of a folder, sorted; in a git work tree without those that git ignores.

    Raises
    ------
    ProcessingFailed
        If a link leads out of the folder: the copy would not be all of it.
    """
    root = folder.resolve()
    found = []
    for path in set(_candidates(root)):
        if not _IGNORED.isdisjoint(path.relative_to(root).parts):
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise ProcessingFailed(
                f"{path} is a link that leads out of {folder}. Copy what it points to into the "
                "folder, so that the job can keep it."
            )
        if path.is_file():
            found.append(path)
    return sorted(found)


def _candidates(root: Path) -> list[Path]:
    if shutil.which("git") is not None and gittool.top_level(root) is not None:
        command = ["-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        answer = gittool.attempt(command)
        if answer.returncode == 0:
            return [root / name for name in answer.stdout.split("\0") if name]
    return _walk(root)


def _walk(root: Path) -> list[Path]:
    return [Path(base, name) for base, _, names in os.walk(root) for name in names]


def digest(folder: Path) -> str:
    """Give ``sha256:…`` over names, executable bits and contents of all files of a copy."""
    total = hashlib.sha256()
    for path in sorted(_walk(folder)):
        executable = "x" if path.stat().st_mode & 0o100 else "-"
        total.update(f"{path.relative_to(folder).as_posix()}\0{executable}\0".encode())
        total.update(sha256(path).encode() + b"\n")
    return f"sha256:{total.hexdigest()}"


def copy(folder: Path, target: Path) -> None:
    """Copy the files into a new folder; links become the files they lead to."""
    root = folder.resolve()
    target.mkdir(parents=True)
    for path in files(folder):
        place = target / path.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        place.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
