"""Git repositories of others: a mirror of each, revisions made commits, commits made folders."""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from runner.errors import ProcessingFailed
from runner.processing import gittool
from runner.processing.gittool import Address
from runner.standin.locking import exclusive

_REVISION = re.compile(
    r"^(?![-/.@])(?!.*(\.\.|@\{|//|[\x00-\x20\x7f~^:?*\[\\]))[^\s]{1,250}(?<!/)$"
)
_FULL = re.compile(r"^[0-9a-f]{40}([0-9a-f]{24})?$")
_SHORT = re.compile(r"^[0-9a-f]{7,64}$")
_HEAD = "refs/jobrunner/HEAD"  # the remote's HEAD, also where that is no branch
_STALE = 120  # seconds: longer than git ever holds one of its lock files
_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


def short_name(url: str) -> str:
    """Give a folder name for a repository: the last part of its address."""
    last = re.split(r"[/:\\]", url.rstrip("/\\"))[-1].removesuffix(".git")
    return re.sub(r"[^\w.+-]", "_", last, flags=re.ASCII).strip(".-_")[:60] or "repository"


class Mirror:
    """A bare copy of a repository, brought up to date when it is asked for something new.

    Parameters
    ----------
    store : Path
        Folder in which mirrors are kept.
    source : str
        URL or path, possibly with credentials.
    """

    def __init__(self, store: Path, source: str) -> None:
        self.store = store
        self.address: Address = gittool.address(source)
        mark = hashlib.sha256(self.address.url.encode()).hexdigest()[:8]
        self.folder = store / f"{short_name(self.address.url)}-{mark}.git"

    @property
    def url(self) -> str:
        """The address without credentials."""
        return self.address.url

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the mirror against others that would change it."""
        self.store.mkdir(parents=True, exist_ok=True)
        with exclusive(self.folder.with_suffix(".lock"), f"another fetch of {self.url}"):
            yield

    def commit(self, revision: str | None) -> str:
        """Give the full commit of a branch, tag or commit; of the default branch if None.

        A full commit that was fetched before needs no network; anything else may have moved.

        Raises
        ------
        ProcessingFailed
            If the repository cannot be read, or has no such revision.
        """
        if revision is not None and not _REVISION.match(revision):
            raise ProcessingFailed(f"{revision!r} cannot be a git revision.")
        if revision is not None and _FULL.match(revision):
            self.obtain(revision)
            return revision
        try:
            self.update()
        except ProcessingFailed:
            known = self._short(revision) if self.folder.is_dir() else None
            if known is None:
                raise
            return known
        return self._named(revision)

    def _named(self, revision: str | None) -> str:
        if revision is None:
            found = self._peel(_HEAD)
            if found is None:
                raise ProcessingFailed(f"{self.url} has no commit on its default branch.")
            return found
        names = [revision] if revision.startswith("refs/") else []
        names += [f"refs/heads/{revision}", f"refs/tags/{revision}"]
        found_by = {name: found for name in names if (found := self._peel(name))}
        if len(set(found_by.values())) > 1:
            raise ProcessingFailed(
                f"{self.url} has a branch and a tag {revision!r} that differ. Name one of "
                f"{' and '.join(found_by)}."
            )
        found = next(iter(found_by.values()), None) or self._short(revision)
        if found is None:
            raise ProcessingFailed(
                f"{self.url} has no branch, tag or commit {revision!r}. It has the branches: "
                f"{self._branches()}."
            )
        return found

    def _short(self, revision: str | None) -> str | None:
        return self._peel(revision) if revision and _SHORT.match(revision) else None

    def _peel(self, name: str) -> str | None:
        command = ["rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}"]
        answer = gittool.attempt([self._at, *command])
        # older git prints the option itself, too
        return answer.stdout.split()[-1] if answer.returncode == 0 else None

    @property
    def _at(self) -> str:
        return f"--git-dir={self.folder}"

    def _branches(self) -> str:
        command = [self._at, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"]
        names = gittool.attempt(command).stdout.split()
        more = f" and {len(names) - 20} more" if len(names) > 20 else ""
        return (", ".join(names[:20]) or "none") + more

    def has(self, commit: str) -> bool:
        """Say whether the mirror holds a commit."""
        return self.folder.is_dir() and self._peel(commit) is not None

    def obtain(self, commit: str) -> None:
        """Make sure that the mirror holds a commit; no network if it does already.

        Raises
        ------
        ProcessingFailed
            If the repository does not have it.
        """
        if self.has(commit):
            return
        self.update()
        if not self.has(commit):  # on no branch and under no tag: ask for it by name
            with self.locked():
                self._fetch(commit, allowed_to_fail=True)
        if not self.has(commit):
            raise ProcessingFailed(f"{self.url} has no commit {commit}.")

    def update(self) -> None:
        """Fetch every branch and tag.

        Raises
        ------
        ProcessingFailed
            If the repository cannot be read.
        """
        with self.locked():
            if not (self.folder / "HEAD").is_file():
                problem = f"No mirror of {self.url} can be made"
                gittool.run(["init", "--quiet", "--bare", "--", str(self.folder)], problem)
            self._remove_stale_locks()
            self._fetch("--prune", *_REFSPECS)
            # apart: a repository may have branches and a HEAD that leads nowhere
            self._fetch(f"+HEAD:{_HEAD}", allowed_to_fail=True)

    def _remove_stale_locks(self) -> None:
        """Remove what a git that was killed left behind; we hold the mirror, so none is at work."""
        for left in self.folder.rglob("*.lock"):
            if time.time() - left.stat().st_mtime > _STALE:
                left.unlink(missing_ok=True)

    def _fetch(self, *what: str, allowed_to_fail: bool = False) -> None:
        options = [part for part in what if part.startswith("--")]
        refs = [part for part in what if not part.startswith("--")]
        command = [self._at, "fetch", "--quiet", "--force", "--no-tags", "--update-shallow"]
        command += ["--no-auto-maintenance", "--no-recurse-submodules", *options]
        command += ["--end-of-options", self.url, *refs]
        answer = gittool.attempt(command, credentials=self.address)
        if answer.returncode and not allowed_to_fail:
            raise ProcessingFailed(
                f"The repository {self.url} cannot be read: {answer.stderr.strip()}\n"
                "Check the address, and that git on this machine may read it (credential helper, "
                "ssh key); nobody is asked for a password."
            )

    def date(self, commit: str) -> datetime:
        """Give the time of a commit."""
        command = [self._at, "show", "--no-patch", "--format=%cI", "--end-of-options", commit]
        stamp = gittool.run(command, f"{self.url} has no commit {commit}").split()[-1]
        return datetime.fromisoformat(stamp)

    def export(self, commit: str, target: Path) -> None:
        """Write the files of a commit, with those of its submodules, into a new folder.

        Raises
        ------
        ProcessingFailed
            If a file or submodule cannot be had.
        """
        target.mkdir(parents=True)
        # no line ends rewritten, whatever the user's configuration says
        settings = ["-c", "core.autocrlf=false", "-c", "core.eol=lf", "-c", "core.bare=false"]
        with tempfile.TemporaryDirectory(prefix="jobrunner-index-") as scratch:
            gittool.run(
                [
                    *settings,
                    self._at,
                    f"--work-tree={target}",
                    "read-tree",
                    "-u",
                    "--reset",
                    commit,
                ],
                f"Commit {commit} of {self.url} cannot be written",
                extra={"GIT_INDEX_FILE": str(Path(scratch, "index"))},
            )
        for path, url in _submodules(target):
            self._export_submodule(commit, path, url, target)

    def _export_submodule(self, commit: str, path: str, url: str, target: Path) -> None:
        command = [self._at, "ls-tree", "-z", commit, "--", path]
        entry = gittool.run(command, f"Submodule {path} cannot be read").split()
        if entry[:2] != ["160000", "commit"]:
            return  # named in .gitmodules but not part of this commit
        place = target / path
        if not place.resolve().is_relative_to(target.resolve()) or place.is_symlink():
            raise ProcessingFailed(f"The submodule path {path!r} of {self.url} leads out of it.")
        module = Mirror(self.store, _relative(url, self.url))
        if urlsplit(module.url)[:2] == urlsplit(self.url)[:2]:  # same host: same credentials
            module.address = replace(self.address, url=module.url)
        try:
            module.obtain(entry[2])
            place.rmdir()
            module.export(entry[2], place)
        except (ProcessingFailed, OSError) as error:
            raise ProcessingFailed(f"Submodule {path} of {self.url}: {error}") from error


def _submodules(folder: Path) -> list[tuple[str, str]]:
    listing = folder / ".gitmodules"
    if not listing.is_file() or listing.is_symlink():
        return []
    command = [
        "config",
        "--file",
        str(listing),
        "-z",
        "--get-regexp",
        r"^submodule\..*\.(path|url)$",
    ]
    found: dict[str, dict[str, str]] = {}
    for item in gittool.attempt(command).stdout.split("\0"):
        key, _, value = item.partition("\n")
        name, _, kind = key.rpartition(".")
        found.setdefault(name, {})[kind] = value
    modules = [(m["path"], m["url"]) for m in found.values() if {"path", "url"} <= m.keys()]
    refused = [
        url for _, url in modules if not url.startswith(("./", "../")) and not gittool.is_url(url)
    ]
    if refused:
        raise ProcessingFailed(f"Submodules need a git URL; this is none: {', '.join(refused)}.")
    return modules


def _relative(url: str, parent: str) -> str:
    """Resolve ``../other.git`` against the address of the repository that names it."""
    if not url.startswith(("./", "../")):
        return url
    base, separator, path = parent.partition(":") if "://" not in parent else ("", "", parent)
    if separator and not parent.startswith("/"):  # git@host:org/name.git
        return f"{base}:{urljoin('/' + path.rstrip('/') + '/', url).lstrip('/')}"
    parts = urlsplit(parent)
    joined = urljoin(parts.path.rstrip("/") + "/", url).rstrip("/")
    return parts._replace(path=joined).geturl()
