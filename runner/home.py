"""The home folder: jobs, releases, environments, checkouts and the embedded platform."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from runner import sub_jobs
from runner.errors import NotFound
from runner.jobdir import SUB_JOBS, JobDirectory
from runner.release import ReleaseStore


@dataclass(frozen=True)
class Home:
    """A home folder and what lies where in it.

    Parameters
    ----------
    path : Path
        The folder; made when something is first written.
    """

    path: Path

    @classmethod
    def find(cls, given: str | os.PathLike[str] | None = None) -> Home:
        """Give the home that was named, else ``$JOBRUNNER_HOME``, else the user's own.

        The user's own is ``$XDG_DATA_HOME/jobrunner``, usually ``~/.local/share/jobrunner``.
        """
        data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        named = given or os.environ.get("JOBRUNNER_HOME") or Path(data, "jobrunner")
        return cls(Path(named).expanduser().absolute())

    @classmethod
    def of(cls, job: JobDirectory, given: str | os.PathLike[str] | None = None) -> Home:
        """Give the home that a job directory lies in, else what `find` gives."""
        if given is None:
            for folder in job.path.parents:
                if folder.name == "jobs" and (folder.parent / "releases").is_dir():
                    return cls(folder.parent)
        return cls.find(given)

    @property
    def jobs(self) -> Path:
        """Folder of the job directories."""
        return self.path / "jobs"

    @property
    def disk(self) -> Path:
        """Where to ask how much room is left: jobs may lie on a disk of their own."""
        return self.jobs if self.jobs.is_dir() else self.path

    @property
    def releases(self) -> ReleaseStore:
        """The releases."""
        return ReleaseStore(self.path / "releases")

    @property
    def environments(self) -> Path:
        """Folder of the stage environments: ``$JOBRUNNER_ENVS``, else in the home."""
        named = os.environ.get("JOBRUNNER_ENVS")
        return Path(named).absolute() if named else self.path / "environments"

    @property
    def processing(self) -> Path:
        """Folder of the pinned processing repositories."""
        return self.path / "processing"

    def has_job(self, name: str) -> bool:
        """Tell whether `name` is a job directory or the id of a job."""
        try:
            self.job(name)
        except NotFound:
            return False
        return True

    def job(self, name: str) -> JobDirectory:
        """Open a job, or a sub-job, by its directory or its id.

        Raises
        ------
        NotFound
            If there is none.
        """
        path = Path(name).expanduser()
        if path.is_dir():
            return _open(path.absolute())
        identifier, part = sub_jobs.split(name)
        if "/" not in name:
            for found in self.jobs.glob(f"*/*/*/{identifier}"):
                job = JobDirectory.open(found)
                return sub_jobs.directory(job, part) if part else job
        raise NotFound(f"There is no job directory {name}, and no job of that id in {self.jobs}.")


def _open(path: Path) -> JobDirectory:
    if path.parent.name == SUB_JOBS and (path.parents[1] / "job.yaml").is_file():
        return sub_jobs.directory(JobDirectory.open(path.parents[1]), path.name)
    return JobDirectory.open(path)
