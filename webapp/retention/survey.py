"""What a sweep would remove, counted."""

from __future__ import annotations

from dataclasses import dataclass

from runner.errors import NotFound
from webapp import jobs
from webapp.jobs import Amount
from webapp.models import REMOVABLE, Job
from webapp.retention import disk
from webapp.retention.policies import Policies
from webapp.retention.walk import Walk
from webapp.service import Service


@dataclass
class Total:
    """Files of one kind: of how many jobs, how many, how large."""

    jobs: int = 0
    files: int = 0
    bytes: int = 0

    def add(self, amount: Amount) -> None:
        """Count those of one more job."""
        self.jobs += 1
        self.files += amount.files
        self.bytes += amount.bytes


def survey(service: Service) -> dict[str, Total]:
    """Count by kind what a sweep of everything would remove now."""
    policies, found = Policies(service), {kind: Total() for kind in REMOVABLE}
    for kind, job in Walk(service).overdue(policies):
        if kind in policies.due(job) and (amount := _measure(service, job, kind)):
            found[kind].add(amount)
    room = disk.free(service) + sum(total.bytes for total in found.values())
    for job in Walk(service).with_work():
        if room >= service.settings.disk_low:
            break
        if "work" not in policies.due(job) and (amount := _measure(service, job, "work")):
            found["work"].add(amount)
            room += amount.bytes
    return found


def _measure(service: Service, job: Job, kind: str) -> Amount | None:
    try:
        return jobs.measure(service.directory(job).path, [kind])[kind]
    except NotFound:
        return None
