"""Everything that a process of the service works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner import sub_jobs
from runner.home import Home
from runner.jobdir import JobDirectory, draft_of
from webapp.db import Database
from webapp.instances import Instances
from webapp.issuers import Issuers
from webapp.models import Job
from webapp.queue import Queue
from webapp.rates import Rates
from webapp.settings import Settings


@dataclass(frozen=True)
class Service:
    """Settings, and what they lead to. Make one with `open`."""

    settings: Settings
    home: Home
    db: Database
    queue: Queue
    instances: Instances
    issuers: Issuers
    rates: Rates

    @classmethod
    def open(cls, settings: Settings | None = None) -> Service:
        """Connect to what the settings name; nothing is asked of it yet.

        Raises
        ------
        InvalidConfiguration
            If a setting cannot be what it says.
        """
        used = settings or Settings()
        queue = Queue(used.redis_url)
        return cls(
            settings=used,
            home=Home(used.home),
            db=Database(used.database_url),
            queue=queue,
            instances=Instances(used.home),
            issuers=Issuers(used.home),
            rates=Rates(used, queue),
        )

    def forget(self) -> None:
        """After a fork: leave all connections to the parent."""
        self.db.forget()
        self.queue.forget()
        self.rates.forget()

    def path(self, job: Job) -> Path:
        """Give the place of a job's directory."""
        return self.home.path / job.directory

    def directory(self, job: Job) -> JobDirectory:
        """Open the directory of a job, where it is: perhaps it has not got its place yet.

        Raises
        ------
        NotFound
            If it is gone.
        """
        path = self.path(job)
        if job.parent is not None:
            return sub_jobs.directory(_open(path.parents[1]), path.name)
        return _open(path)

    def place(self, job: Job) -> JobDirectory:
        """Open the directory of a job, not of a sub-job, in its place."""
        directory = self.directory(job)
        try:
            return directory.place()
        except FileNotFoundError:  # somebody else has just done it
            return JobDirectory.open(self.path(job))


def _open(path: Path) -> JobDirectory:
    draft = draft_of(path)
    return JobDirectory.open(draft if draft.is_dir() else path)
