"""How long the files of which job are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import select

from runner.retention import DEFAULT, KINDS, Retention, seconds
from webapp.catalogue import Catalogue
from webapp.models import ENDED, Job, JobCount
from webapp.pools import seconds_ago
from webapp.service import Service

Pair = tuple[str, str]  # instance and job type


@dataclass
class Group:
    """Jobs of which files of a kind may be due after the same time.

    Attributes
    ----------
    ended, failed : set of Pair
        Instance and type of jobs that succeeded or were cancelled; of those that failed.
    """

    ended: set[Pair] = field(default_factory=set)
    failed: set[Pair] = field(default_factory=set)


class Policies:
    """The policies of all jobs: job types, and instances over them.

    They are asked for anew each time: what an operator has changed holds for the next job.

    Parameters
    ----------
    service : Service
        Whose jobs.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._catalogue = Catalogue(service.home.releases)

    def of(self, instance: str, type_name: str, digest: str) -> Retention:
        """Give the policy of a job of an instance, of a type as that release has it.

        Where nobody can say it, everything is kept: without the release only what the instance
        says counts, and without a readable file of the instance nothing does.
        """
        found = self._service.instances.all().get(instance)
        if found is None:
            return Retention()
        own = found.retention_of(type_name)
        job_type = self._catalogue.job_type(digest, type_name)
        return own if job_type is None else own.over(job_type.retention.over(DEFAULT))

    def due(self, job: Job) -> dict[str, str]:
        """Tell which kinds of files of a job are kept no longer, each with the reason."""
        if job.status not in ENDED or job.pinned or job.finished is None:
            return {}
        policy, found = self.of(job.instance, job.type, job.digest), {}
        for kind in KINDS:
            time = policy.time(kind, failed=job.status == "failed")
            length = seconds(time)
            there = getattr(job, f"{kind}_removed") is None
            if there and length is not None and job.finished <= seconds_ago(length):
                found[kind] = f"kept for {time}"
        return found

    def groups(self) -> dict[tuple[str, int], Group]:
        """Give what may be due, by kind and seconds after the end; what is kept forever is in none.

        Types differ between releases: a pair stands where the shortest of its times is.
        """
        found: dict[tuple[str, int], Group] = {}
        for pair in self._pairs():
            policies = list(self._possible(*pair))
            for kind in KINDS:
                for failed in (False, True):
                    times = [seconds(policy.time(kind, failed=failed)) for policy in policies]
                    lengths = [length for length in times if length is not None]
                    if lengths:
                        group = found.setdefault((kind, min(lengths)), Group())
                        (group.failed if failed else group.ended).add(pair)
        return found

    def _pairs(self) -> list[Pair]:
        query = select(JobCount.instance, JobCount.type).where(
            JobCount.number > 0, JobCount.status.in_(ENDED)
        )
        with self._service.db.read() as session:
            return sorted({(instance, type_name) for instance, type_name in session.execute(query)})

    def _possible(self, instance: str, type_name: str) -> Iterator[Retention]:
        """Give the policies that jobs of a pair may have, whatever their release."""
        yield self.of(instance, type_name, "")  # one whose release is gone
        for version in self._catalogue.versions().get(type_name, ()):
            yield self.of(instance, type_name, version.release.digest)
