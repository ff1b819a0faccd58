"""Lines of requirement files: which ones a shared, unchanging environment can honour."""

from __future__ import annotations

import re

from packaging.requirements import InvalidRequirement, Requirement

_INDEX = {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index"}
_INDEX |= {"--trusted-host", "--proxy", "--cert", "--client-cert"}
_FILES = {"-r", "--requirement", "-c", "--constraint"}
_PASSED = {"--no-binary", "--only-binary"}
_REMOTE = re.compile(r"^(git\+(https|http|ssh|file|git)|https?)://", re.IGNORECASE)
_LOCAL = re.compile(r"^(\.|/|~|[a-zA-Z]:\\|(hg|svn|bzr)\+|file:)")


class Refused(ValueError):
    """A line that cannot be honoured, and what to do about it."""


def split_option(line: str) -> tuple[str, str]:
    """Split ``--option=value`` or ``-o value``; the value is empty if there is none."""
    match = re.match(r"^(--[\w-]+|-\w)\s*=?\s*(.*)$", line)
    return (match[1], match[2].strip()) if match else (line, "")


def check_line(line: str) -> None:
    """Accept what fixes the content of an environment, refuse what does not.

    Accepted are names with versions, extras, markers and hashes, addresses of files and git
    repositories, ``--pre``, ``--no-binary`` and ``--only-binary``.

    Raises
    ------
    Refused
        For anything else.
    """
    if line.startswith("-"):
        _check_option(*split_option(line))
        return
    bare = re.split(r"\s+--hash[=\s]", line)[0].strip()
    if _REMOTE.match(bare):
        return
    if _LOCAL.match(bare):
        raise Refused(
            "a local folder or file may change under a shared environment; name a released "
            "version or `git+https://…@commit`."
        )
    try:
        requirement = Requirement(bare)
    except InvalidRequirement as error:
        raise Refused(f"this is no requirement ({str(error).splitlines()[0]}).") from None
    if requirement.url and not _REMOTE.match(requirement.url):
        raise Refused("only https:// and git+https:// (or git+ssh://, git+file://) addresses work.")


def _check_option(name: str, value: str) -> None:
    if name in ("--pre", "--prefer-binary") or (name in _PASSED and value):
        return
    if name in ("-e", "--editable"):
        raise Refused(
            "an editable install may change under a shared environment; name a released version "
            "or `git+https://…@commit`."
        )
    if name in _INDEX:
        raise Refused(
            "where packages come from is a setting of the machine (uv.toml or UV_DEFAULT_INDEX, "
            "UV_INDEX), so that no address ends up in a job."
        )
    if name in _FILES:
        raise Refused(
            "Snakemake hands over a copy of the environment file, so files named in it are not "
            "found; write the packages into the list."
        )
    raise Refused(f"the option {name} is not supported.")


def options_and_packages(lines: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Split accepted lines into options for uv's command line and requirements."""
    options: list[str] = []
    packages: list[str] = []
    for line in lines:
        if not line.startswith("-"):
            packages.append(line)
            continue
        name, value = split_option(line)
        if name == "--pre":
            options += ["--prerelease", "allow"]
        elif name in _PASSED:
            options += [part for package in value.split(",") for part in (name, package.strip())]
    return options, packages
