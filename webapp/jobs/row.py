"""The row of a job, made from its directory: when it is submitted, and when its row was lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner import resources
from runner.jobdir import JobDirectory
from runner.jobtype import JobType
from runner.prepared import Prepared
from runner.profile import Profile
from webapp.models import Job

# Memory of an attempt that only waits for a cluster: about 60 MB as a fork of its worker, more than
# twice that as a process of its own, and more again where a workflow has many rule runs.
WAITS_MB = 250


@dataclass(frozen=True)
class Needs:
    """Where a job runs and what it takes there: `mem_mb` in MB."""

    pool: str = "default"
    cores: int = 1
    mem_mb: int = 0

    @classmethod
    def of(
        cls,
        profile: Profile | None,
        job_type: JobType | None,
        asked: Mapping[str, Any] | None = None,
        caps: Mapping[str, Any] | None = None,
    ) -> Needs:
        """Give what an attempt takes of a pool: of the attempt and its stages, whichever is most.

        Parameters
        ----------
        profile, job_type
            Of the job; either may be gone by now.
        asked : mapping, optional
            The resources that were asked for.
        caps : mapping, optional
            The most that its instance allows.
        """
        pool = profile.pool if profile else cls.pool
        if profile and profile.executor == "slurm":  # its rules run elsewhere
            return cls(pool, cores=0, mem_mb=WAITS_MB)
        if profile and job_type:
            taken = resources.resolve(job_type, profile, asked, caps).attempt
        else:
            taken = job_type.resources if job_type else profile.limits if profile else {}
        return cls(
            pool=pool,
            cores=taken.get("cores") or cls.cores,
            mem_mb=taken.get("mem_mb") or cls.mem_mb,
        )

    def within(self, job: Job) -> bool:
        """Tell whether the room that a job was given, or waits for, is right and large enough."""
        elsewhere = self.cores == 0  # nothing of the pool then: not the same as little of it
        same = (self.pool, elsewhere) == (job.pool, job.cores == 0)
        return same and self.cores <= job.cores and self.mem_mb <= job.mem_mb

    def as_dict(self) -> dict[str, Any]:
        """Give it as an event has it."""
        return asdict(self)

    def told(self) -> str:
        """Say it for people."""
        amounts = [resources.told(n, getattr(self, n)) for n in ("cores", "mem_mb")]
        given = " and ".join(amounts if self.cores else ["a slot"])
        return f"{given} of pool {self.pool}"


def asked_for(prepared: Prepared, options: Mapping[str, Any]) -> dict[str, Any]:
    """Give all that was asked for of an attempt, its stages called as the whole job calls them.

    Parameters
    ----------
    prepared : Prepared
        The job; what was asked for of it is in its directory.
    options : mapping
        Of the attempt: what is asked for in it goes before that.

    Raises
    ------
    NotFound
        If they name a stage or sub-job that there is not.
    """
    further = prepared.options(**options).resources
    return resources.both(prepared.job.config.get("resources") or {}, further)


def new_row(home: Path, directory: JobDirectory, needs: Needs) -> Job:
    """Make the row that a job has before any of its events is taken over.

    Parameters
    ----------
    home : Path
        The home folder.
    directory : JobDirectory
        In its place, or still a draft.
    needs : Needs
        What its profile and job type say.

    Raises
    ------
    KeyError, TypeError
        If ``job.yaml`` lacks something.
    StopIteration
        If there is no event.
    """
    config = directory.config
    queue: dict[str, Any] = config.get("queue") or {}
    place = directory.path.with_name(directory.id)
    return Job(
        id=directory.id,
        type=directory.type,
        version=config["release"]["label"],
        digest=config["release"]["digest"],
        instance=config["instance"],
        profile=config["profile"],
        pool=needs.pool,
        user=config["submitted"]["by"],
        directory=place.relative_to(home).as_posix(),
        priority=queue.get("priority", 0),
        tags=list(queue.get("tags", ())),
        cores=needs.cores,
        mem_mb=needs.mem_mb,
        submitted=next(directory.events.read())["time"],
        **_fresh(),
    )


def part_row(job: Job, directory: JobDirectory, part: JobDirectory) -> Job:
    """Make the row that a sub-job has before any of its events is taken over.

    Parameters
    ----------
    job : Job
        The row of the job that it is a part of.
    directory, part : JobDirectory
        Of the job, in its place or still a draft, and of the sub-job in it.
    """
    queue: dict[str, Any] = part.config.get("queue") or {}
    shared = ("version", "digest", "instance", "profile", "pool", "user", "cores", "mem_mb")
    return Job(
        id=part.id,
        type=part.type,
        parent=job.id,
        directory=f"{job.directory}/{part.path.relative_to(directory.path).as_posix()}",
        priority=queue.get("priority", 0),
        tags=list(queue.get("tags", ())),
        submitted=job.submitted,
        **{name: getattr(job, name) for name in shared},
        **_fresh(),
    )


def _fresh() -> dict[str, Any]:
    return {
        "status": "queued",
        "events_seen": 0,
        "events_offset": 0,
        "fence": 0,
        "attempt": 0,
        "interruptions": 0,
        "pinned": False,
        "stop_requested": False,
        "next_options": {},
    }
