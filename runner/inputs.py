"""The files that a job is given: which are accepted, and how they get into its directory."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import InvalidInput, UnsafePath
from runner.files import copy_checksummed, safe_filename, sync
from runner.jobtype import InputSpec, JobType


@dataclass(frozen=True)
class Upload:
    """A file that was received for a job and is moved into its directory, not copied.

    Attributes
    ----------
    path : Path
        Where it lies now; on the same file system as the job directories, or it is copied.
    name : str
        As its sender calls it.
    sha256, bytes : str, int
        Counted while it was received.
    """

    path: Path
    name: str
    sha256: str
    bytes: int


def check_inputs(
    job_type: JobType, given: Mapping[str, Path | Upload]
) -> dict[InputSpec, Path | Upload]:
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
    files: dict[InputSpec, Path | Upload] = {}
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


def _wrong_file(spec: InputSpec, source: Path | Upload) -> str | None:
    path = source.path if isinstance(source, Upload) else source
    if not path.is_file():
        return f"{spec.name}: there is no file {path}"
    try:
        spec.suffix_of(source.name)
    except InvalidInput as error:
        return error.message
    size = path.stat().st_size
    if size == 0:
        return f"{spec.name}: {source.name} is empty (0 bytes)"
    if spec.max_size is not None and size > spec.max_size:
        return (
            f"{spec.name}: {source.name} has {size:,} bytes; at most {spec.max_size:,} are accepted"
        )
    return None


def take(spec: InputSpec, source: Path | Upload, folder: Path) -> dict[str, Any]:
    """Copy or move a file into a job's folder of inputs; give what ``job.yaml`` says of it.

    Raises
    ------
    UnsafePath
        If its name cannot be used.
    """
    name = safe_filename(source.name)
    if not name.lower().endswith(spec.suffix_of(source.name)):
        raise UnsafePath(f"{spec.name}: {source.name!r} cannot be used as a file name.")
    target = folder / name if not (folder / name).exists() else folder / f"{spec.name}-{name}"
    if isinstance(source, Upload):
        sync(source.path)
        shutil.move(source.path, target)
        size, digest = source.bytes, source.sha256
    else:
        with source.open("rb") as stream:
            size, digest = copy_checksummed(stream, target, spec.max_size)
    path = target.relative_to(folder.parent).as_posix()
    return {"path": path, "name": source.name, "sha256": digest, "bytes": size}
