"""Further repositories that ``nomenclature.yaml`` names: pinned, and readable without a network.

nomenclature clones each into the processing repository's own folder (``<folder>/<name>``), or, if
that is there, fetches, resets, cleans and perhaps pulls. Both ask the declared URL. So each gets a
bare mirror frozen at its commit, and a git configuration leads the URL to the mirror: what
nomenclature runs, of any version, then finds that commit and needs no network.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runner.errors import ProcessingFailed
from runner.files import atomic
from runner.processing import gittool
from runner.processing.repository import Mirror

CONFIGURATION = "nomenclature.yaml"
_NAME = re.compile(r"^(?![.-])[\w.-]+(/(?![.-])[\w.-]+)*$")
_DEFAULT_BRANCH = "main"  # nomenclature knows no other


@dataclass(frozen=True)
class Companion:
    """One further repository.

    Attributes
    ----------
    name : str
        Folder below the processing repository where nomenclature looks for it.
    declared : str
        URL exactly as declared: nomenclature compares it with the clone's.
    revision : str
        The ``hash`` or ``release`` declared, else ``main``.
    commit : str
        What that was when the job was made.
    mirror : Path
        Bare repository frozen at that commit.
    """

    name: str
    declared: str
    revision: str
    commit: str
    mirror: Path

    def as_config(self) -> dict[str, str]:
        """Give what ``job.yaml`` records."""
        url = gittool.address(self.declared).url
        return {"url": url, "revision": self.revision, "commit": self.commit}


def pin(checkout: Path, mirrors: Path, repository: str) -> list[Companion]:
    """Pin and fetch every repository that the checkout's ``nomenclature.yaml`` names.

    Raises
    ------
    ProcessingFailed
        If the file is wrong, or a repository or revision cannot be had.
    """
    found = []
    for name, entry in sorted(_declared(checkout, repository).items()):
        declared, revision = _entry(name, entry, repository)
        if (checkout / name).exists():
            raise ProcessingFailed(
                f"{repository} has a file or folder {name!r}, where its {CONFIGURATION} wants the "
                "further repository of that name. Rename one of them."
            )
        try:
            mirror = Mirror(mirrors, declared)
            commit = mirror.commit(revision)
            frozen = _freeze(mirror, commit, revision)
        except ProcessingFailed as error:
            raise ProcessingFailed(
                f"The repository {name!r} named in {CONFIGURATION} of {repository}: {error}"
            ) from error
        found.append(Companion(name, declared, revision, commit, frozen))
    return found


def _declared(checkout: Path, repository: str) -> dict[str, Any]:
    path = checkout / CONFIGURATION
    if not path.is_file():
        return {}
    try:
        document = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise ProcessingFailed(
            f"{CONFIGURATION} of {repository} cannot be read: {error}"
        ) from error
    declared = document.get("repositories") if isinstance(document, dict) else None
    if declared is not None and not isinstance(declared, dict):
        raise ProcessingFailed(f"`repositories` in {CONFIGURATION} of {repository} is no mapping.")
    return declared or {}


def _entry(name: Any, entry: Any, repository: str) -> tuple[str, str]:
    where = f"The entry {name!r} of `repositories` in {CONFIGURATION} of {repository}"
    if not isinstance(name, str) or not _NAME.match(name):
        raise ProcessingFailed(f"{where} cannot name a folder.")
    if not isinstance(entry, dict) or not isinstance(entry.get("url"), str):
        raise ProcessingFailed(f"{where} has no `url`.")
    url, commit, release = entry["url"], entry.get("hash"), entry.get("release")
    if commit and release:
        raise ProcessingFailed(f"{where} has both `hash` and `release`; only one may be given.")
    if not gittool.is_url(url):
        raise ProcessingFailed(f"{where} has the url {url!r}, which is no git URL.")
    return url, str(commit or release or _DEFAULT_BRANCH)


def _freeze(mirror: Mirror, commit: str, revision: str) -> Path:
    """Make a bare repository in which every name that nomenclature asks for is `commit`."""
    mark = hashlib.sha256(revision.encode()).hexdigest()[:6]
    target = mirror.folder.with_name(f"{mirror.folder.stem}-{commit[:12]}-{mark}.git")
    if target.is_dir():
        return target
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    problem = f"No frozen copy of {mirror.url} can be made"
    try:
        with mirror.locked():
            # files are linked, not copied; unreachable objects do no harm
            clone = ["clone", "--quiet", "--bare", "--local", "--no-tags"]
            gittool.run([*clone, "--", str(mirror.folder), str(draft)], problem)
        at = f"--git-dir={draft}"
        listed = gittool.run([at, "for-each-ref", "--format=%(refname)"], problem).split()
        for ref in listed:
            gittool.run([at, "update-ref", "-d", ref], problem)
        for ref in _refs(mirror, revision):
            gittool.run([at, "update-ref", ref, commit], problem)
        gittool.run([at, "symbolic-ref", "HEAD", f"refs/heads/{_DEFAULT_BRANCH}"], problem)
        gittool.run([at, "config", "remote.origin.url", mirror.url], problem)
        draft.rename(target)
    except OSError:  # another job was faster
        if not target.is_dir():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _refs(mirror: Mirror, revision: str) -> list[str]:
    refs = [f"refs/heads/{_DEFAULT_BRANCH}"]
    for kind in ("heads", "tags"):
        name = f"refs/{kind}/{revision}"
        command = [f"--git-dir={mirror.folder}", "rev-parse", "--verify", "--quiet"]
        answer = gittool.attempt([*command, "--end-of-options", name])
        if answer.returncode == 0 and name not in refs:
            refs.append(name)
    return refs


def digest(companions: Sequence[Companion]) -> str:
    """Give a short name for this set of pinned repositories."""
    parts = [f"{c.name}\0{c.declared}\0{c.revision}\0{c.commit}" for c in companions]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def write_git_config(path: Path, companions: Sequence[Companion]) -> None:
    """Write a git configuration that leads each declared URL to its frozen mirror.

    It is used as ``GIT_CONFIG_GLOBAL``, so it first includes what the user has configured.
    """
    users = ["~/.config/git/config", "~/.gitconfig"]  # git's own order; missing ones are skipped
    if named := os.environ.get("GIT_CONFIG_GLOBAL"):
        users = [str(Path(named).absolute())]
    lines = ["# Made by jobrunner: further repositories are read from copies frozen for the job."]
    lines += [part for user in users for part in ("[include]", f"\tpath = {_quoted(user)}")]
    for companion in companions:
        lines.append(f"[url {_quoted(companion.mirror.as_uri())}]")
        lines.append(f"\tinsteadOf = {_quoted(companion.declared)}")
    # frozen mirrors may belong to another user of a shared store
    lines += ["[safe]", "\tdirectory = *", '[protocol "file"]', "\tallow = always"]
    with atomic(path) as stream:
        stream.write(("\n".join(lines) + "\n").encode())


def _quoted(value: str) -> str:
    """Quote a value of a git configuration file."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def clone_into(checkout: Path, companions: Sequence[Companion], git_config: Path) -> None:
    """Clone each repository to where nomenclature expects it, from its frozen mirror."""
    for companion in companions:
        target = checkout / companion.name
        problem = f"{companion.name} cannot be cloned"
        extra = {"GIT_CONFIG_GLOBAL": str(git_config)}
        # no templates: hooks have no place here. No reflogs: they would grow in every copy
        settings = ["-c", "core.logAllRefUpdates=false", "-c", "core.autocrlf=false"]
        command = [*settings, "clone", "--quiet", "--template=", "--no-hardlinks"]
        gittool.run([*command, "--", companion.declared, str(target)], problem, extra=extra)
        shutil.rmtree(target / ".git" / "logs", ignore_errors=True)
