"""The job directory: the truth about one job."""

from __future__ import annotations

import getpass
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from runner.errors import InvalidInput, NotFound
from runner.events import EventLog
from runner.files import inside, read_yaml, sha256, sync, write_yaml
from runner.inputs import Upload, check_inputs, take
from runner.jobtype import JobType, SubJobType

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SUB_JOBS = "sub_jobs"  # folder of the parts of a composite job
_FOLDERS = ("input", "work", "results", "logs", "attempts")


@dataclass(frozen=True)
class JobRequest:
    """What is asked for; frozen into ``job.yaml``.

    Attributes
    ----------
    type : JobType
        The job type, of a release.
    release : mapping
        ``label`` and ``digest`` of that release.
    inputs : mapping of str to Path or Upload
        Files to submit, by the name of the input.
    params : mapping
        Parameters, complete and checked.
    platform : mapping
        What rules may know of the platform: ``embedded`` (a path) and ``create_names``. Never an
        address with credentials.
    processing : mapping or None
        The pinned processing repository.
    queue : mapping or None
        What a service was told about its place in the queue: ``priority``, ``tags``, ``notify``.
    resources : mapping or None
        What was asked for beside the defaults; see `runner.resources`.
    """

    type: JobType
    release: Mapping[str, str]
    inputs: Mapping[str, Path | Upload]
    params: Mapping[str, Any]
    platform: Mapping[str, Any]
    processing: Mapping[str, Any] | None = None
    instance: str = "default"
    profile: str = "local"
    by: str = field(default_factory=getpass.getuser)
    queue: Mapping[str, Any] | None = None
    resources: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Artifact:
    """A result file: path relative to the job directory, size in bytes and checksum."""

    path: str
    bytes: int
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        """Give it as a plain mapping."""
        return asdict(self)


class JobDirectory:
    """A directory with a ``job.yaml``; every path in it is asked from here.

    Parameters
    ----------
    path : Path
        The directory.
    config : mapping
        Content of its ``job.yaml``.
    parent : JobDirectory, optional
        Of a sub-job: the job that it is a part of.
    """

    def __init__(
        self, path: Path, config: Mapping[str, Any], parent: JobDirectory | None = None
    ) -> None:
        self.path = path
        self.config = config
        self.parent = parent
        self.events = EventLog(path / "events.jsonl")

    @property
    def id(self) -> str:
        """The job's id, sortable by time."""
        return str(self.config["id"])

    @property
    def type(self) -> str:
        """Name of the job type."""
        return str(self.config["type"])

    @property
    def whole(self) -> JobDirectory:
        """The directory in which attempts run: its own, of a sub-job that of its parent."""
        return self.parent or self

    @property
    def logs(self) -> Path:
        """Folder of the logs."""
        return self.path / "logs"

    @property
    def attempts(self) -> Path:
        """Folder of the attempts' records."""
        return self.path / "attempts"

    @classmethod
    def create(cls, jobs: Path, request: JobRequest) -> JobDirectory:
        """Write a new job directory below `jobs`; it appears whole or not at all.

        Raises
        ------
        InvalidInput
            If an input is missing, of a wrong kind, too large or empty, or not asked for.
        """
        return cls.draft(jobs, request).place()

    @classmethod
    def draft(cls, jobs: Path, request: JobRequest) -> JobDirectory:
        """Write a new job directory beside its place, where nobody looks: see `place`.

        Raises
        ------
        InvalidInput
            As `create`; nothing is left behind then.
        """
        files = check_inputs(request.type, request.inputs)
        moment = datetime.now(UTC)
        day = jobs / moment.strftime("%Y/%m/%d")
        day.mkdir(parents=True, exist_ok=True)
        identifier, path = _claim(day)
        job = cls(draft_of(path), {"id": identifier, "type": request.type.name})
        try:
            for name in _FOLDERS:
                (job.path / name).mkdir(parents=True)
            inputs = {
                spec.name: take(spec, source, job.path / "input") for spec, source in files.items()
            }
            job.config = _frozen(identifier, moment, request, inputs)
            write_yaml(job.path / "job.yaml", job.config)
            job.events.append("status", source="runner", status="queued")
        except BaseException:
            job.discard()
            raise
        return job

    def place(self) -> JobDirectory:
        """Move a draft to its place, at once and whole; a job that has its place stays there."""
        path = self.path.with_name(self.id)
        if self.path != path:
            sync(self.path)
            self.path.rename(path)  # onto the empty folder that claimed the id
            sync(path.parent)
        return JobDirectory(path, self.config)

    def discard(self) -> None:
        """Remove a draft, and the empty folder that claimed its id."""
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            self.path.with_name(self.id).rmdir()

    @classmethod
    def open(cls, path: Path) -> JobDirectory:
        """Open an existing job directory.

        Raises
        ------
        NotFound
            If there is no readable ``job.yaml``.
        """
        path = path.absolute()
        try:
            config = read_yaml(path / "job.yaml")
            return cls(path, {**config, "id": config["id"], "type": config["type"]})
        except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
            raise NotFound(f"{path} is no job directory: it has no readable job.yaml.") from error

    def file(self, relative: str) -> Path:
        """Give the path of a file in the directory; links must not lead out.

        Raises
        ------
        UnsafePath
            If it would leave the directory.
        """
        return inside(self.path, relative)

    def of_stage(self, stage: str) -> tuple[Path, str]:
        """Give the folder that has the logs of a stage, and its name there.

        A stage ``meta_check`` of a composite job is the stage ``check`` of its sub-job ``meta``.
        """
        for name in self.config.get("sub_jobs") or ():
            if stage.startswith(f"{name}_"):
                return self.path / SUB_JOBS / name, stage.removeprefix(f"{name}_")
        return self.path, stage

    def verify_inputs(self) -> None:
        """Compare every input with its checksum.

        Raises
        ------
        InvalidInput
            If one is missing or has changed since it was submitted.
        """
        for name, spec in self.config.get("inputs", {}).items():
            path = self.file(spec["path"])
            if not path.is_file() or sha256(path) != spec["sha256"]:
                raise InvalidInput(
                    f"{name}: {spec['path']} is missing or has changed since it was submitted. "
                    "Restore it, or submit a new job."
                )

    def artifacts(self) -> Iterator[Artifact]:
        """Give the files below ``results/`` that may leave it, sorted by path."""
        for path in self.result_files():
            relative = path.relative_to(self.path).as_posix()
            yield Artifact(relative, path.stat().st_size, sha256(path))

    def result_files(self) -> Iterator[Path]:
        """Give the paths of what `artifacts` gives, with nothing read."""
        root = self.path / "results"
        for folder, _, names in sorted(os.walk(root)):
            for name in sorted(names):
                path = Path(folder, name)
                if not name.startswith(".") and not path.is_symlink() and path.is_file():
                    yield path


def draft_of(path: Path) -> Path:
    """Give where the draft of a job directory lies before it has its place."""
    return path.with_name(f".draft-{path.name}")


def id_at(milliseconds: int) -> str:
    """Give the id of a job of that time (since 1970): Crockford's base 32, sorting as times."""
    return "".join(_CROCKFORD[(milliseconds >> shift) & 31] for shift in range(45, -1, -5))


def _claim(day: Path) -> tuple[str, Path]:
    """Make the empty folder of a new id."""
    milliseconds = time.time_ns() // 1_000_000
    while True:
        identifier = id_at(milliseconds)
        try:
            (day / identifier).mkdir()
        except FileExistsError:
            milliseconds += 1
        else:
            return identifier, day / identifier


def _frozen(
    identifier: str, moment: datetime, request: JobRequest, inputs: Mapping[str, Any]
) -> dict[str, Any]:
    queue = {"queue": dict(request.queue)} if request.queue else {}
    resources = {"resources": dict(request.resources)} if request.resources else {}
    sub_jobs = request.type.sub_jobs.values()
    parts = {"sub_jobs": {part.name: _frozen_part(part) for part in sub_jobs}} if sub_jobs else {}
    return {
        "id": identifier,
        "type": request.type.name,
        "release": dict(request.release),
        "instance": request.instance,
        "profile": request.profile,
        "submitted": {"at": moment.isoformat(timespec="seconds"), "by": request.by},
        "inputs": dict(inputs),
        "params": dict(request.params),
        "platform": dict(request.platform),
        "processing": dict(request.processing) if request.processing else None,
        **resources,
        **queue,
        **parts,
    }


def _frozen_part(part: SubJobType) -> dict[str, Any]:
    """Say of a sub-job what one must know to see its stages in the job's events."""
    return {"type": part.type.name, "title": part.title, "stages": part.type.stage_names}
