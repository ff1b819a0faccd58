"""A new job type: files that work as they are, to be changed into one's own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from runner import share
from runner.errors import InvalidRequest

_TEMPLATES = Path(__file__).with_name("templates")
_NAME = re.compile(r"[a-z][a-z0-9_]{1,40}")
_PLACES = {"job_type": "workflow/{name}", "envs": "envs", "tests": "tests"}


def new_type(name: str, source: Path) -> list[Path]:
    """Write a job type into a workflow source.

    Parameters
    ----------
    name : str
        Its name: small letters, digits and underscores.
    source : Path
        The folder; what it lacks of ``workflow/common`` is copied into it, so that it can be
        published by itself.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    InvalidRequest
        If the name cannot be one, or there is something of that name; nothing is written then.
    """
    if not _NAME.fullmatch(name) or name == "common":
        raise InvalidRequest(
            f"{name!r} cannot be the name of a job type: use small letters, digits and underscores,"
            " for example count_rows."
        )
    wanted = {source / _filled(str(target), name): path for path, target in _files()}
    there = [str(path) for path in [source / "workflow" / name, *wanted] if path.exists()]
    if there:
        raise InvalidRequest(f"Nothing was written, because there is already: {', '.join(there)}.")
    written = _common(source)
    for target, template in wanted.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_filled(template.read_text(encoding="utf-8"), name), encoding="utf-8")
        written.append(target)
    return written


def _files() -> list[tuple[Path, Path]]:
    """Give each template with the place, relative to the source, where it goes."""
    found = []
    for part, place in _PLACES.items():
        root = _TEMPLATES / part
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found.append((path, Path(place, path.relative_to(root))))
    return found


def _filled(text: str, name: str) -> str:
    title = name.replace("_", " ").capitalize()
    return text.replace("{name}", name).replace("{title}", title)


def _common(source: Path) -> list[Path]:
    """Copy what job types share, where the source has none."""
    target = source / "workflow" / "common"
    if target.exists():
        return []
    leave = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(share.root() / "workflow" / "common", target, ignore=leave)
    return [target]
