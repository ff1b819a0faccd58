"""Files of ended jobs that are kept no longer: they go; row, events, request and inputs stay."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runner import leader, processes
from runner.errors import JobBusy, NotFound
from runner.jobdir import JobDirectory
from webapp.jobs import aside
from webapp.jobs.aside import Amount
from webapp.jobs.fold import absorb, changing, get
from webapp.models import ENDED, REMOVABLE, Job
from webapp.service import Service

Due = Callable[[Job], Mapping[str, str]]  # kinds of files that are to go, each with the reason
_NAMES = {"work": "work files", "results": "result files", "logs": "logs"}
_NOTES = "removing"  # folder in the home
_LOCK_IS_OLD = 24 * 3600.0  # seconds

log = logging.getLogger(__name__)


def remove(service: Service, job_id: str, due: Due, why: str) -> dict[str, Amount]:
    """Remove files of a job that has ended, is not pinned, and is worked on by nobody.

    Parameters
    ----------
    due : callable
        Says of the row, locked and up to date, what is to go: the last word of the policy.
    why : str
        For programs: ``age`` or ``disk``.

    Returns
    -------
    dict of str to Amount
        What has gone, by kind; empty if nothing was to go after all.

    Raises
    ------
    JobBusy
        If an attempt, or a bare Snakemake, works in the directory.
    NotFound
        If the job, or its directory, is gone.
    """
    with service.db.read() as session:
        seen = get(session, job_id)
    # before the lock, for it may take long
    counted = aside.measure(service.directory(seen).path, _possible(seen, due))
    if not counted:
        return {}
    amounts: dict[str, Amount] = {}
    try:
        with changing(service, job_id) as (session, job, directory), _alone(directory):
            absorb(service, session, job, directory)  # what an attempt wrote before we were alone
            reasons = _possible(job, due)
            if job.finished != seen.finished or not reasons or not reasons.keys() <= counted.keys():
                return {}  # it has run again meanwhile
            note = _note(service, job_id)
            with aside.set_aside(directory.path, reasons):
                _tell(directory, {kind: counted[kind] for kind in reasons}, reasons, why)
            amounts = {kind: counted[kind] for kind in reasons}
    finally:  # what the directory says is true, even if the database cannot follow now
        if amounts:
            aside.throw_away(directory.path)
    _settled(directory, note)
    return amounts


def settle_removals(service: Service) -> int:
    """Finish what a process that died, or a file system that refused, has left; give how many."""
    notes = list((service.home.path / _NOTES).glob("*"))
    for note in notes:
        job_id = note.name.rpartition(".")[0]
        try:
            with changing(service, job_id) as (_, job, directory):
                _tell_late(job, directory)
            aside.throw_away(directory.path)
            _settled(directory, note)
        except NotFound:
            note.unlink(missing_ok=True)
        except OSError as error:  # one job must not keep all others from being swept
            log.warning("the removal of files of job %s is finished later: %s", job_id, error)
    return len(notes)


def _possible(job: Job, due: Due) -> dict[str, str]:
    if job.status not in ENDED or job.pinned:
        return {}
    there = [kind for kind in REMOVABLE if getattr(job, f"{kind}_removed") is None]
    return {kind: reason for kind, reason in due(job).items() if kind in there}


@contextmanager
def _alone(directory: JobDirectory) -> Iterator[None]:
    """Keep attempts out; refuse where a bare Snakemake works.

    Snakemake's lock of a process that was killed stays behind. One of today may be that of a
    Snakemake on another machine, where we cannot see it.
    """
    lock = leader.acquire(directory.path, grace=0)
    try:
        if taken := aside.content(directory.path / ".snakemake" / "locks"):
            fresh = time.time() - max(found.stat().st_mtime for found in taken) < _LOCK_IS_OLD
            if fresh or processes.bare_snakemake(directory.path):
                raise JobBusy(
                    f"A Snakemake that was started by hand works in {directory.path}, or did so "
                    "within a day and was killed: its files stay for now."
                )
        yield
    finally:
        os.close(lock)


def _note(service: Service, job_id: str) -> Path:
    """Leave a note for `settle_removals`; made and found under the lock of the row."""
    note = service.home.path / _NOTES / f"{job_id}.{secrets.token_hex(4)}"
    with suppress(OSError):  # on a full disk it must do without
        note.parent.mkdir(exist_ok=True)
        note.touch()
    return note


def _settled(directory: JobDirectory, note: Path) -> None:
    """Take the note away, unless something set aside could not be deleted."""
    if not aside.kinds_aside(directory.path):
        note.unlink(missing_ok=True)


def _tell(
    directory: JobDirectory, amounts: Mapping[str, Amount], reasons: Mapping[str, str], why: str
) -> None:
    parts = [f"{_NAMES[kind]} ({reasons[kind]}): {amount}" for kind, amount in amounts.items()]
    told: dict[str, Any] = {"message": f"Removed {'; '.join(parts)}.", "why": why}
    told["removed"] = {kind: asdict(amount) for kind, amount in amounts.items()}
    try:
        directory.events.append("note", source="retention", **told)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        aside.throw_away(directory.path)  # makes room to say so
        directory.events.append("note", source="retention", **told)


def _tell_late(job: Job, directory: JobDirectory) -> None:
    """Say what a process has set aside, but could not say any more."""
    reasons = {
        kind: "its removal was interrupted"
        for kind in aside.kinds_aside(directory.path)
        if job.status in ENDED
        and getattr(job, f"{kind}_removed") is None
        and aside.is_empty(directory.path, kind)
    }
    if reasons:
        _tell(directory, aside.measure(directory.path, reasons), reasons, "age")
