"""Releases: immutable, digest-checked copies of a workflow source under a version label."""

from __future__ import annotations

import compileall
import hashlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner import __version__, share
from runner.errors import (
    InvalidConfiguration,
    InvalidRequest,
    NotFound,
    ReleaseConflict,
    ReleaseDamaged,
)
from runner.files import now, read_json, safe_label, sha256, write_json
from runner.jobtype import JobType
from runner.source import fetched

_PARTS = ("workflow", "envs")  # what a release consists of; rules name ../../envs/<tool>.yaml
_IGNORED = {"__pycache__", ".snakemake", ".git", ".pytest_cache", ".ruff_cache", ".mypy_cache"}


@dataclass(frozen=True)
class Release:
    """A published copy of a workflow source.

    Attributes
    ----------
    label : str
        The version that it gives to every job type in it.
    digest : str
        ``sha256:…`` over names, executable bits and contents of all its files.
    source, revision : str, str or None
        Where it came from.
    published : str
        When, RFC 3339.
    folder : Path
        The copy: ``workflow/`` and ``envs/`` stand in it.
    adopted : bool
        It came with a job: new jobs use it only if it is asked for, or there is no other.
    """

    label: str
    digest: str
    source: str
    revision: str | None
    published: str
    folder: Path
    adopted: bool = False

    def type_names(self) -> list[str]:
        """Give the names of the job types in it."""
        return sorted(p.parent.name for p in (self.folder / "workflow").glob("*/jobtype.yaml"))

    def job_types(self) -> list[JobType]:
        """Give the job types in it."""
        return [JobType.load(self.folder / "workflow" / name) for name in self.type_names()]

    def job_type(self, name: str) -> JobType:
        """Give one job type.

        Raises
        ------
        NotFound
            If the release has no such job type.
        """
        folder = self.folder / "workflow" / safe_label(name, "Job type")
        if not (folder / "jobtype.yaml").is_file():
            known = ", ".join(self.type_names())
            raise NotFound(f"Release {self.label} has no job type {name!r}. It has: {known}.")
        return JobType.load(folder)

    def verify(self) -> None:
        """Compare the copy with its digest.

        Raises
        ------
        ReleaseDamaged
            If a file was changed, added or removed since it was published.
        """
        if digest(self.folder) != self.digest:
            raise ReleaseDamaged(
                f"Release {self.label} was changed after it was published ({self.folder}). Publish "
                "its source again under another label; jobs must not run from a changed copy."
            )


class ReleaseStore:
    """The releases below one folder.

    Parameters
    ----------
    folder : Path
        ``<home>/releases``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Release]:
        """Give every release, oldest first; those that came with jobs go before all others."""
        found = [_load(path) for path in self.folder.glob("*/release.json")]
        return sorted(found, key=lambda r: (not r.adopted, r.published, r.label))

    def get(self, label: str) -> Release:
        """Give the release called `label`, its digest checked.

        Raises
        ------
        NotFound
            If there is none.
        ReleaseDamaged
            If it was changed.
        """
        record = self.folder / safe_label(label, "Version") / "release.json"
        if not record.is_file():
            known = ", ".join(release.label for release in self.all()) or "none"
            raise NotFound(f"There is no release {label!r}. Published are: {known}.")
        release = _load(record)
        release.verify()
        return release

    def newest(self, type_name: str) -> Release:
        """Give the newest release with a job type, its digest checked.

        Raises
        ------
        NotFound
            If no release has it.
        """
        self.publish_shipped()
        for release in reversed(self.all()):
            if type_name in release.type_names():
                release.verify()
                return release
        known = ", ".join(sorted({name for r in self.all() for name in r.type_names()}))
        raise NotFound(f"There is no job type {type_name!r}. There are: {known}.")

    def publish_shipped(self) -> None:
        """Publish what comes with the runner, if it is new: after an upgrade, or an edit."""
        content = digest(share.root())
        if content not in {release.digest for release in self.all() if not release.adopted}:
            label = f"{__version__}+{content.removeprefix('sha256:')[:8]}"
            self.publish(str(share.root()), label)

    def publish(
        self, source: str, label: str, revision: str | None = None, *, adopted: bool = False
    ) -> Release:
        """Copy a folder, or a revision of a git repository, into the store.

        Jobs may run meanwhile; they keep the release they have.

        Parameters
        ----------
        source : str
            A folder with ``workflow/`` and ``envs/``, or a git repository's path or URL.
        label : str
            The version label.
        revision : str, optional
            Branch, tag or commit. Without it the folder is copied as it is.
        adopted : bool
            Whether it is here only for a job that came from elsewhere.

        Raises
        ------
        ReleaseConflict
            If the label stands for other content.
        InvalidConfiguration
            If a job type in it is not valid.
        InvalidRequest
            If the source cannot be read.
        """
        safe_label(label, "Label")
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".draft-{secrets.token_hex(8)}"
        try:
            with fetched(source, revision) as (folder, commit):
                _copy(folder, draft)
            release = Release(label, digest(draft), source, commit, now(), draft, adopted)
            if not release.job_types():
                raise InvalidConfiguration(f"{source} has no workflow/<job type>/jobtype.yaml.")
            return self._place(release)
        finally:
            _remove(draft)

    def _place(self, release: Release) -> Release:
        target = self.folder / release.label
        record = {k: v for k, v in asdict(release).items() if k not in ("folder", "adopted")}
        record |= {"adopted": True} if release.adopted else {}
        draft = self.folder / f".draft-{secrets.token_hex(8)}"
        draft.mkdir()
        try:
            release.folder.rename(draft / "source")
            _make_read_only(draft / "source")
            # now, because jobs write no byte code: a copy that changes is not the one published
            compileall.compile_dir(draft / "source" / "workflow", quiet=2, workers=1)
            write_json(draft / "release.json", record)
            draft.rename(target)  # fails if the label is taken: its folder is never empty
        except OSError:
            if not (target / "release.json").is_file():
                raise
        finally:
            _remove(draft)
        placed = _load(target / "release.json")
        if placed.digest == release.digest and placed.adopted and not release.adopted:
            write_json(target / "release.json", record)
            placed = _load(target / "release.json")
        if placed.digest != release.digest:
            raise ReleaseConflict(
                f"Release {release.label} exists with other content ({placed.digest[:19]}…, from "
                f"{placed.source}). A label never changes its meaning: choose another."
            )
        return placed


def digest(folder: Path) -> str:
    """Give ``sha256:…`` over names, executable bits and contents of a workflow source."""
    total = hashlib.sha256()
    for path in files(folder):
        executable = "x" if path.stat().st_mode & 0o100 else "-"
        total.update(f"{path.relative_to(folder).as_posix()}\0{executable}\0".encode())
        total.update(sha256(path).encode() + b"\n")
    return f"sha256:{total.hexdigest()}"


def files(folder: Path) -> Iterator[Path]:
    """Give the files of a workflow source."""
    for part in _PARTS:
        for path in sorted((folder / part).rglob("*")):
            if _IGNORED.isdisjoint(path.relative_to(folder).parts) and path.is_file():
                if not path.resolve().is_relative_to(folder.resolve()):
                    raise InvalidConfiguration(f"{path} is a link that leads out of the source.")
                yield path


def _copy(folder: Path, target: Path) -> None:
    if not (folder / "workflow").is_dir():
        raise InvalidRequest(f"{folder} has no folder workflow/: it is no workflow source.")
    for path in files(folder):
        place = target / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        place.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _load(record: Path) -> Release:
    return Release(folder=record.parent / "source", **read_json(record))


def _make_read_only(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(path.stat().st_mode & 0o555)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


def as_config(release: Release) -> dict[str, Any]:
    """Give what ``job.yaml`` records of a release."""
    return {"label": release.label, "digest": release.digest}
