"""The job types of all releases, read once: releases never change.

What is published later is seen at the next look; nothing is hashed here.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from runner.errors import JobRunnerError
from runner.jobtype import JobType
from runner.release import Release, ReleaseStore

_LOG = logging.getLogger(__name__)
_TICK = 1_000_000_000  # ns; file systems count time more coarsely than we ask


@dataclass(frozen=True)
class Version:
    """A job type as one release has it."""

    release: Release
    job_type: JobType


class Catalogue:
    """Job types by release.

    Parameters
    ----------
    releases : ReleaseStore
        Where they are.
    """

    def __init__(self, releases: ReleaseStore) -> None:
        self._releases = releases
        self._lock = threading.Lock()
        self._seen: int | None = None
        self._newest_last: list[Release] = []
        self._types: dict[str, dict[str, JobType]] = {}

    def versions(self) -> dict[str, list[Version]]:
        """Give the versions of each job type, newest first; types by name."""
        self._refresh()
        found: dict[str, list[Version]] = {}
        types = self._types  # another thread may have replaced it in the middle
        for release in reversed(self._newest_last):
            for name, job_type in types.get(release.digest, {}).items():
                found.setdefault(name, []).append(Version(release, job_type))
        return dict(sorted(found.items()))

    def job_type(self, digest: str, name: str) -> JobType | None:
        """Give a job type as the release with that digest has it; None if it is not here."""
        self._refresh()
        return self._types.get(digest, {}).get(name)

    def title(self, digest: str, name: str) -> str | None:
        """Give the title of a job type, as `job_type`."""
        found = self.job_type(digest, name)
        return found.title if found else None

    def _refresh(self) -> None:
        seen = self._changed()
        if seen is not None and seen == self._seen:
            return
        with self._lock:
            if seen is None:
                self._releases.publish_shipped()  # a new home: no job has been submitted yet
                seen = self._changed()
            releases, known = self._releases.all(), self._types
            self._types = {r.digest: known.get(r.digest) or _read(r) for r in releases}
            self._newest_last = releases
            # what happens within the same tick of the clock would not show: look again till then
            settled = seen is not None and time.time_ns() - seen > _TICK
            self._seen = seen if settled else None

    def _changed(self) -> int | None:
        """Give when the folder of releases last changed: each is placed by a rename."""
        try:
            return self._releases.folder.stat().st_mtime_ns
        except FileNotFoundError:
            return None


def _read(release: Release) -> dict[str, JobType]:
    """Read the job types of a release; one that cannot be read is left out, and logged."""
    found = {}
    for name in release.type_names():
        try:
            found[name] = release.job_type(name)
        except (JobRunnerError, OSError) as error:
            _LOG.error("release %s, job type %s: %s", release.label, name, error)
    return found
