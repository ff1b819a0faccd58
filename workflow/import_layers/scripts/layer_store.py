"""The layer store of an instance: a folder per version, and a registry of them.

A version is complete when its folder has its name: it is put together beside, and renamed. The
registry ``layers.json`` is an index of these folders; what a stage that was killed between the two
did not enter is entered by the next one.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stagekit.files import write_json
from stagekit.problems import StageError

REGISTRY = "layers.json"
ENTRY = "layer.json"  # in the folder of a version: its entry of the registry
FORMAT = 1
_INCOMING = ".incoming-"
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
Entry = dict[str, Any]


def check_store(store: Path | None, name: str, version: str | None, job: str) -> None:
    """Make sure, before anything is done, that a version can be added.

    Raises
    ------
    StageError
        ``no_layer_store``, ``store_rights``, or ``version_exists``.
    """
    folder = required(store)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise StageError("store_rights", f"The layer store {folder} is no folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise _no_rights(folder)
    if version is not None and folder.is_dir():
        refuse_existing(entries(folder), name, version, job)


def required(store: Path | None) -> Path:
    """Give the layer store.

    Raises
    ------
    StageError
        ``no_layer_store`` if the job names none.
    """
    if store is None:
        raise StageError(
            "no_layer_store",
            "There is no layer store: the profile names one (platform.layers), for a bare snakemake"
            " job.yaml (platform: {layers: FOLDER}).",
        )
    return store


def refuse_existing(found: Sequence[Entry], name: str, version: str, job: str) -> None:
    """Refuse a version that another job registered.

    Raises
    ------
    StageError
        ``version_exists``.
    """
    own = [entry for entry in found if entry["name"] == name]
    for entry in own:
        if entry["version"] == version and entry["job"] != job:
            raise StageError(
                "version_exists",
                f"The layer {name!r} has a version {version!r} already, of job {entry['job']}; a"
                " version is never overwritten. Its versions are"
                f" {', '.join(e['version'] for e in own)}: choose another, or leave the parameter"
                f" version out ({next_version(found, name)!r} would be next).",
            )


def next_version(found: Sequence[Entry], name: str) -> str:
    """Give the whole number after the largest one among the versions of a layer."""
    versions = [entry["version"] for entry in found if entry["name"] == name]
    return str(max((int(v) for v in versions if v.isdecimal()), default=0) + 1)


def entries(store: Path) -> list[Entry]:
    """Give all versions in the store, those that the registry does not list last."""
    listed: list[Entry] = []
    try:
        document = json.loads((store / REGISTRY).read_text(encoding="utf-8"))
        listed = list(document["layers"])
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError):
        print(f"{REGISTRY} is damaged: it is made again of the folders of versions", flush=True)
    known = {(entry["name"], entry["version"]) for entry in listed}
    found = [_entry(path) for path in sorted(store.glob(f"[!.]*/[!.]*/{ENTRY}"))]
    return listed + sorted(
        (one for one in found if one and (one["name"], one["version"]) not in known),
        key=lambda entry: str(entry["registered"]),
    )


def _entry(path: Path) -> Entry | None:
    try:
        entry: Entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return entry if {"name", "version", "job", "registered"} <= set(entry) else None


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the store alone; other jobs wait meanwhile.

    Raises
    ------
    StageError
        ``store_rights`` if it may not be written to.
    """
    try:
        store.mkdir(parents=True, exist_ok=True)
        with (store / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("waiting for another job that writes to the layer store", flush=True)
                fcntl.flock(lock, fcntl.LOCK_EX)
            for left in store.glob(f"{_INCOMING}*"):  # of jobs that were killed
                shutil.rmtree(left, ignore_errors=True)
            yield
    except OSError as error:
        if error.errno in _REFUSED:
            raise _no_rights(store) from error
        raise


def add(store: Path, entry: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Put a version into the store, whole or not at all; `locked` must be held.

    Parameters
    ----------
    store : Path
        The store.
    entry : mapping
        What the registry says of it.
    files : mapping of str to Path
        Its files, by their names in the version's folder.

    Raises
    ------
    OSError
        If they cannot be written; nothing is left behind then.
    """
    incoming = store / f"{_INCOMING}{entry['job']}"
    target = store / entry["name"] / entry["version"]
    try:
        incoming.mkdir()
        for name, source in files.items():
            _copy(source, incoming / name)
        write_json(incoming / ENTRY, entry)
        (incoming / ENTRY).chmod(0o444)
        target.parent.mkdir(exist_ok=True)
        _sync(incoming)
        incoming.rename(target)
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(incoming, ignore_errors=True)
        raise


def list_all(store: Path, found: Sequence[Entry]) -> None:
    """Write the registry, whole or not at all."""
    write_json(store / REGISTRY, {"format": FORMAT, "layers": list(found)})
    _sync(store)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as stream, target.open("wb") as out:
        shutil.copyfileobj(stream, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())
    target.chmod(0o444)  # a version never changes


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _no_rights(store: Path) -> StageError:
    return StageError(
        "store_rights",
        f"The layer store {store} may not be written to. Give the account that runs jobs the right"
        " to, or name another folder in the profile (platform.layers); then continue the job.",
    )
