"""Processing repositories: pinned to a commit, copied once, with an environment of their own.

Layout below the store::

    <name>-<commit, 12 digits>/
        checkout/                 the commit's files, read-only
        checkout-<digest>/        the same with the further repositories that it names
        git-<digest>.config       leads their URLs to copies frozen at their commits
        environment.yaml, .lock   exact packages as of the commit's date; or -<date>.yaml
    mirrors/                      bare repositories
    locks/
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from runner.errors import ProcessingFailed
from runner.processing import companions, entrypoint, gittool, packages, plainfolder
from runner.processing.companions import Companion
from runner.processing.immutable import locked, once, set_writable
from runner.processing.repository import Mirror, short_name

_LFS = b"version https://git-lfs.github.com/spec/"
_LFS_SIZE = 1024  # a pointer has about 130 bytes


@dataclass(frozen=True)
class PinnedProcessing:
    """A processing repository as one job uses it.

    Attributes
    ----------
    repository : str
        URL, without credentials, or absolute path.
    revision : str or None
        What was asked for; None is the default branch, or a plain folder as it was.
    commit : str
        Full commit; ``sha256:…`` over the content of a plain folder.
    entry : str
        Function of ``workflow.py``.
    as_of : date or None
        Day as of which packages were resolved, if one was given.
    checkout : Path
        Read-only files. A run needs a copy of its own that it may write to.
    environment : Path
        Conda environment file with exact versions; its lock lies beside it.
    git_config : Path or None
        For ``GIT_CONFIG_GLOBAL`` while the repository's code runs; None if it names no further
        repositories.
    repositories : tuple of Companion
        The further repositories named in ``nomenclature.yaml``.
    warnings : tuple of str
        What a person should know.
    """

    repository: str
    revision: str | None
    commit: str
    entry: str
    as_of: date | None
    checkout: Path
    environment: Path
    git_config: Path | None = None
    repositories: tuple[Companion, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def lock(self) -> Path:
        """Exact versions with hashes."""
        return self.environment.with_suffix(".lock")

    def as_config(self) -> dict[str, Any]:
        """Give the section ``processing`` of ``job.yaml``."""
        return {
            "repository": self.repository,
            "revision": self.revision,
            "commit": self.commit,
            "entry": self.entry,
            "as_of": self.as_of.isoformat() if self.as_of else None,
            "checkout": str(self.checkout),
            "environment": str(self.environment),
            "git_config": str(self.git_config) if self.git_config else None,
            "repositories": {c.name: c.as_config() for c in self.repositories},
        }


@dataclass(frozen=True)
class _Source:
    """A repository at one commit, before anything was made for the job."""

    repository: str
    commit: str
    committed: datetime | None
    folder: Path
    warnings: tuple[str, ...] = ()


def pin(
    source: str,
    *,
    store: Path,
    revision: str | None = None,
    entry: str = "main",
    as_of: date | None = None,
    beside: Sequence[str] = ("pyarrow",),
) -> PinnedProcessing:
    """Pin a processing repository and prepare all that a job needs of it.

    What was prepared for a commit is reused. A full commit that was pinned before needs no
    network; a branch or tag does, for it may have moved.

    Parameters
    ----------
    source : str
        Git URL, or path of a repository or folder. The top folder of a repository is pinned to a
        commit, changes that are not committed being left out; any other folder to its content.
    store : Path
        Where checkouts are kept.
    revision : str, optional
        Branch, tag or commit (7 digits suffice); without it the default branch.
    entry : str
        Function of ``workflow.py`` that the job runs.
    as_of : date, optional
        Day as of which loosely named packages are resolved; without it the commit's date.
    beside : sequence of str
        Requirements of the program that runs the repository.

    Raises
    ------
    ProcessingFailed
        If anything is missing or wrong: the repository, revision, entry point, a further
        repository, or the packages.
    """
    try:
        return _prepare(source, store.absolute(), revision, entry, as_of, beside)
    except OSError as error:
        raise ProcessingFailed(
            f"The processing repository cannot be prepared in {store}: {error}."
        ) from error


def _prepare(
    source: str,
    store: Path,
    revision: str | None,
    entry: str,
    as_of: date | None,
    beside: Sequence[str],
) -> PinnedProcessing:
    if not source.strip():
        raise ProcessingFailed("The processing repository has no address.")
    (store / "locks").mkdir(parents=True, exist_ok=True)
    if gittool.is_url(source) and not Path(source).is_dir():
        found = _from_mirror(Mirror(store / "mirrors", source), store, revision)
    else:
        found = _from_path(Path(source).expanduser(), store, revision)
    plain = found.folder / "checkout"
    entrypoint.check(plain, entry, found.repository)
    further = companions.pin(plain, store / "mirrors", found.repository)
    checkout, git_config = _with_companions(found.folder, further, store)
    with locked(store, found.folder.name):
        environment, notes = packages.ensure(
            found.folder,
            plain,
            repository=found.repository,
            as_of=as_of,
            committed=found.committed,
            beside=beside,
        )
    return PinnedProcessing(
        repository=found.repository,
        revision=revision,
        commit=found.commit,
        entry=entry,
        as_of=as_of,
        checkout=checkout,
        environment=environment,
        git_config=git_config,
        repositories=tuple(further),
        warnings=(*found.warnings, *_lfs_warnings(checkout), *notes),
    )


def _from_mirror(mirror: Mirror, store: Path, revision: str | None) -> _Source:
    commit = mirror.commit(revision)
    folder = store / f"{short_name(mirror.url)}-{commit[:12]}"
    once(store, folder / "checkout", lambda draft: mirror.export(commit, draft))
    return _Source(mirror.url, commit, mirror.date(commit), folder)


def _from_path(path: Path, store: Path, revision: str | None) -> _Source:
    if not path.is_dir():
        raise ProcessingFailed(
            f"{path} is neither a folder nor a git URL (https://…, ssh://…, git@host:…, file://…)."
        )
    path = path.resolve()
    top = gittool.top_level(path) if shutil.which("git") else None
    if top is not None and top.resolve() in (path, path / ".git"):
        return _from_repository(path, store, revision)
    if revision is not None:
        why = f"it is a folder within the repository {top}" if top else "it is a plain folder"
        raise ProcessingFailed(
            f"{path} has no revision {revision!r}: {why}, which is pinned by its content."
        )
    return _from_folder(path, store)


def _from_repository(path: Path, store: Path, revision: str | None) -> _Source:
    found = _from_mirror(Mirror(store / "mirrors", str(path)), store, revision)
    status = gittool.attempt(["-C", str(path), "status", "--porcelain", "--untracked-files=normal"])
    changed = status.stdout.splitlines()
    if not changed:
        return found
    warning = (
        f"{path} has {len(changed)} change(s) that are not committed (first: "
        f"{changed[0].strip()}). The job uses commit {found.commit[:12]} without them."
    )
    return _Source(found.repository, found.commit, found.committed, found.folder, (warning,))


def _from_folder(path: Path, store: Path) -> _Source:
    draft = store / f".folder-{secrets.token_hex(6)}"
    try:
        plainfolder.copy(path, draft)
        digest = plainfolder.digest(draft)
        folder = store / f"{short_name(str(path))}-{digest.removeprefix('sha256:')[:12]}"
        once(store, folder / "checkout", draft.rename)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return _Source(str(path), digest, None, folder)


def _with_companions(
    folder: Path, further: Sequence[Companion], store: Path
) -> tuple[Path, Path | None]:
    """Give the checkout that has the further repositories where nomenclature looks for them."""
    if not further:
        return folder / "checkout", None
    mark = companions.digest(further)
    target, git_config = folder / f"checkout-{mark}", folder / f"git-{mark}.config"

    def make(draft: Path) -> None:
        shutil.copytree(folder / "checkout", draft, symlinks=True)
        set_writable(draft, True)
        companions.write_git_config(git_config, further)
        companions.clone_into(draft, further, git_config)

    once(store, target, make)
    return target, git_config


def _lfs_warnings(checkout: Path) -> list[str]:
    pointers = [
        path.relative_to(checkout).as_posix()
        for path in sorted(checkout.rglob("*"))
        if path.is_file() and path.stat().st_size < _LFS_SIZE and path.read_bytes().startswith(_LFS)
    ]
    if not pointers:
        return []
    return [
        f"{len(pointers)} file(s) are git-lfs pointers without their content: "
        f"{', '.join(pointers[:5])}. git-lfs is not fetched; keep what the workflow reads in git."
    ]
