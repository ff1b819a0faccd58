"""The job directory: the truth about one job."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from runner.errors import InvalidInput, NotFound, UnsafePath
from runner.events import EventLog
from runner.files import copy_checksummed, inside, safe_filename, sha256, write_yaml
from runner.jobtype import InputSpec, JobType

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
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
    inputs : mapping of str to Path
        Files to submit, by the name of the input.
    params : mapping
        Parameters, complete and checked.
    platform : mapping
        What rules may know of the platform: ``embedded`` (a path) and ``create_names``. Never an
        address with credentials.
    processing : mapping or None
        The pinned processing repository.
    """

    type: JobType
    release: Mapping[str, str]
    inputs: Mapping[str, Path]
    params: Mapping[str, Any]
    platform: Mapping[str, Any]
    processing: Mapping[str, Any] | None = None
    instance: str = "default"
    profile: str = "local"
    by: str = field(default_factory=getpass.getuser)


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
    """

    def __init__(self, path: Path, config: Mapping[str, Any]) -> None:
        self.path = path
        self.config = config
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
        files = check_inputs(request.type, request.inputs)
        moment = datetime.now(UTC)
        day = jobs / moment.strftime("%Y/%m/%d")
        day.mkdir(parents=True, exist_ok=True)
        draft = day / f".draft-{secrets.token_hex(8)}"
        try:
            for name in _FOLDERS:
                (draft / name).mkdir(parents=True)
            inputs = {
                spec.name: _take(spec, source, draft / "input") for spec, source in files.items()
            }
            identifier, path = _claim(day)
            config = _frozen(identifier, moment, request, inputs)
            write_yaml(draft / "job.yaml", config)
            draft.rename(path)  # onto the empty folder that claimed the id
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        job = cls(path, config)
        job.events.append("status", source="runner", status="queued")
        return job

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
            config = yaml.safe_load((path / "job.yaml").read_text(encoding="utf-8"))
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
        root = self.path / "results"
        for folder, _, names in sorted(os.walk(root)):
            for name in sorted(names):
                path = Path(folder, name)
                if name.startswith(".") or path.is_symlink() or not path.is_file():
                    continue
                relative = path.relative_to(self.path).as_posix()
                yield Artifact(relative, path.stat().st_size, sha256(path))


def check_inputs(job_type: JobType, given: Mapping[str, Path]) -> dict[InputSpec, Path]:
    """Give the files to submit by what they are for.

    Raises
    ------
    InvalidInput
        Naming every input that is missing, not asked for, of a wrong kind, empty or too large.
    """
    problems = [
        f"{name}: {job_type.name} has no such input (it has: {', '.join(job_type.inputs)})"
        for name in given
        if name not in job_type.inputs
    ]
    files = {}
    for name, spec in job_type.inputs.items():
        if name not in given:
            if spec.required:
                problems.append(f"{name}: this input is required")
            continue
        if problem := _wrong_file(spec, given[name]):
            problems.append(problem)
        files[spec] = given[name]
    if problems:
        found = [{"pointer": f"/inputs/{p.split(':')[0]}", "message": p} for p in problems]
        raise InvalidInput("\n".join(problems), found)
    return files


def _wrong_file(spec: InputSpec, path: Path) -> str | None:
    if not path.is_file():
        return f"{spec.name}: there is no file {path}"
    try:
        spec.suffix_of(path.name)
    except InvalidInput as error:
        return error.message
    size = path.stat().st_size
    if size == 0:
        return f"{spec.name}: {path.name} is empty (0 bytes)"
    if spec.max_size is not None and size > spec.max_size:
        return (
            f"{spec.name}: {path.name} has {size:,} bytes; at most {spec.max_size:,} are accepted"
        )
    return None


def _take(spec: InputSpec, source: Path, folder: Path) -> dict[str, Any]:
    name = safe_filename(source.name)
    if not name.lower().endswith(spec.suffix_of(source.name)):
        raise UnsafePath(f"{spec.name}: {source.name!r} cannot be used as a file name.")
    target = folder / name if not (folder / name).exists() else folder / f"{spec.name}-{name}"
    with source.open("rb") as stream:
        size, digest = copy_checksummed(stream, target, spec.max_size)
    path = target.relative_to(folder.parent).as_posix()
    return {"path": path, "name": source.name, "sha256": digest, "bytes": size}


def _claim(day: Path) -> tuple[str, Path]:
    """Make the empty folder of a new id: 48 bits of milliseconds in Crockford's base 32."""
    milliseconds = time.time_ns() // 1_000_000
    while True:
        identifier = "".join(
            _CROCKFORD[(milliseconds >> shift) & 31] for shift in range(45, -1, -5)
        )
        try:
            (day / identifier).mkdir()
        except FileExistsError:
            milliseconds += 1
        else:
            return identifier, day / identifier


def _frozen(
    identifier: str, moment: datetime, request: JobRequest, inputs: Mapping[str, Any]
) -> dict[str, Any]:
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
    }
