"""The requirement files of a processing repository, includes followed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import ProcessingFailed
from runner.standin.requirements import Refused, check_line, split_option

LISTING = "requirements.txt"
WITHOUT_LISTING = ("nomenclature-iamc",)


@dataclass
class _Listing:
    """What requirement files say, includes followed."""

    requirements: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seen: set[Path] = field(default_factory=set)


def read_requirements(checkout: Path, repository: str) -> tuple[list[str], list[str]]:
    """Read ``requirements.txt`` and what it includes by ``-r`` and ``-c``.

    Returns
    -------
    tuple of (list of str, list of str)
        Requirement lines and constraint lines. Without the file: nomenclature alone.

    Raises
    ------
    ProcessingFailed
        With every line that cannot be honoured.
    """
    if not (checkout / LISTING).is_file():
        return list(WITHOUT_LISTING), []
    listing = _Listing()
    _read(checkout / LISTING, checkout.resolve(), listing, listing.requirements)
    if listing.problems:
        listed = "\n".join(f"- {problem}" for problem in listing.problems)
        raise ProcessingFailed(
            f"{LISTING} of {repository} cannot be honoured:\n{listed}",
            [{"message": problem} for problem in listing.problems],
        )
    return listing.requirements, listing.constraints


def _read(path: Path, root: Path, listing: _Listing, into: list[str]) -> None:
    path = path.resolve()
    if path in listing.seen:
        return
    listing.seen.add(path)
    text = _decoded(path.read_bytes()).replace("\\\r\n", "").replace("\\\n", "")
    for number, line in enumerate(text.splitlines(), 1):
        bare = re.sub(r"(^|\s)#.*$", "", line).strip()
        where = f"{path.relative_to(root)}, line {number}"
        name, value = split_option(bare)
        if name in ("-r", "--requirement", "-c", "--constraint"):
            included = (path.parent / value).resolve()
            if not included.is_relative_to(root) or not included.is_file():
                listing.problems.append(f"{where}: {value!r} is no file of the repository.")
                continue
            target = into if name in ("-r", "--requirement") else listing.constraints
            _read(included, root, listing, target)
        elif bare:
            try:
                check_line(bare)
                into.append(bare)
            except Refused as error:
                listing.problems.append(f"{where}: {bare!r}: {error}")


def _decoded(content: bytes) -> str:
    """Decode a text file; `pip freeze > file` in PowerShell writes UTF-16."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    return content.decode("utf-8-sig", errors="replace")
