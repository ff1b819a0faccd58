"""Where a job that comes from elsewhere goes, and what must not be lost for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runner import leader
from runner.errors import JobRunnerError, NotFound
from runner.files import now, read_json, sync, write_json
from runner.jobdir import JobDirectory

RECORD = "pulled.json"
_IDENTITY = ("id", "type", "release", "submitted", "inputs", "params")


class NotPlaced(JobRunnerError):
    """A job that would take the place of something that must not be lost."""

    code = "conflict"
    status = 409


@contextmanager
def room_for(
    place: Path, config: Mapping[str, Any], force: bool
) -> Iterator[Callable[[Path], None]]:
    """Give what moves a job to its place, where perhaps an older copy of it is.

    Parameters
    ----------
    place : Path
        Where it goes.
    config : mapping
        What is known of it: its ``id``, at least.
    force : bool
        Whether a copy may go that has something which the one that comes may not have.

    Raises
    ------
    NotPlaced
        If something else is there, or that copy was continued here.
    JobBusy
        If an attempt runs there.
    """
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        yield lambda draft: _place(draft, place)
        return
    check_old(place, config, force)
    lock = leader.acquire(place)
    try:
        yield lambda draft: _swap(draft, place)
    finally:
        os.close(lock)


def check_old(place: Path, config: Mapping[str, Any], force: bool) -> None:
    """See that what is in the place of a job may go.

    Raises
    ------
    NotPlaced
        If it may not.
    """
    try:
        old = JobDirectory.open(place)
    except NotFound:
        raise NotPlaced(
            f"{place} is there already, and is no job directory. Move it away, or choose another "
            "place with --to."
        ) from None
    if any(old.config.get(name) != config[name] for name in _IDENTITY if name in config):
        raise NotPlaced(
            f"{place} is the directory of another job ({old.id}, {old.type}). Move it away, or "
            "choose another place with --to."
        )
    if force:
        return
    record = pulled(place)
    if record is None:
        raise NotPlaced(
            f"Job {old.id} is in {place} already, and did not come there by `jobrunner pull`: it "
            "may be the service's own. --force replaces it."
        )
    if _newest(place) > record["newest"] or _last_event(old) != record["events"]:
        raise NotPlaced(
            f"Job {old.id} is in {place} already and was continued there since {record['at']}. "
            "--force replaces it; what was done there is lost then."
        )


def pulled(place: Path) -> dict[str, Any] | None:
    """Give the note on where a job came from: ``from``, ``at``, ``events``; or None."""
    try:
        found = read_json(place / RECORD)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"newest", "events", "at"} <= set(found) else None


def note(job: JobDirectory, source: str) -> None:
    """Note down in the directory of a job where it came from, and what was done by then."""
    write_json(
        job.path / RECORD,
        {"from": source, "at": now(), "events": _last_event(job), "newest": _newest(job.path)},
    )


def _last_event(job: JobDirectory) -> int:
    return max((int(event["n"]) for event in job.events.read()), default=0)


def _newest(place: Path) -> int:
    """Give the time (ns since 1970) of what changed last in a job directory."""
    newest = 0
    for folder in ("input", "work", "results", ".snakemake/metadata", ".snakemake/incomplete"):
        for base, _, names in os.walk(place / folder):
            for path in [Path(base), *(Path(base, name) for name in names)]:
                with suppress(FileNotFoundError):
                    newest = max(newest, path.lstat().st_mtime_ns)
    return newest


def _place(draft: Path, place: Path) -> None:
    try:
        draft.rename(place)
    except OSError as error:
        raise NotPlaced(f"{place} came to be meanwhile. Look at it, then do it again.") from error
    sync(place.parent)


def _swap(draft: Path, place: Path) -> None:
    old = place.with_name(f".old-{place.name}-{os.getpid()}")
    place.rename(old)
    try:
        draft.rename(place)
    except BaseException:
        old.rename(place)
        raise
    sync(place.parent)
    shutil.rmtree(old, ignore_errors=True)
