"""The sweep: files that are kept no longer are removed, a budget at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from runner.errors import JobBusy, JobRunnerError, NotFound
from webapp import jobs
from webapp.db import DatabaseAway
from webapp.jobs import Amount
from webapp.models import Job
from webapp.retention import disk
from webapp.retention.policies import Policies
from webapp.retention.walk import Walk
from webapp.service import Service

_TRIES = 20  # jobs that are looked at for each one of which files may be removed

log = logging.getLogger(__name__)


@dataclass
class Report:
    """What a sweep has done.

    Attributes
    ----------
    removed : dict of str to list of Amount
        By kind, one for each job.
    jobs : int
        Jobs of which something was removed.
    hindered : set of str
        Jobs in use, or whose files refused to go: their turn comes again.
    spent : bool
        Whether the budget ended it.
    low : bool
        Whether the disk has still too little free space.
    """

    removed: dict[str, list[Amount]] = field(default_factory=dict)
    jobs: int = 0
    hindered: set[str] = field(default_factory=set)
    spent: bool = False
    low: bool = False

    def __bool__(self) -> bool:
        return bool(self.jobs or self.hindered or self.low)

    def __str__(self) -> str:
        parts = [
            f"{kind} of {len(amounts)} jobs ({sum(amounts, Amount())})"
            for kind, amounts in self.removed.items()
        ]
        done = f"retention removed {'; '.join(parts) or 'nothing'}"
        done += f"; {len(self.hindered)} jobs were in use or refused" if self.hindered else ""
        return done + ("; the disk is low" if self.low else "")


class Sweeper:
    """Sweeps again and again; it remembers where it stopped.

    Parameters
    ----------
    service : Service
        Whose jobs.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._walk = Walk(service)
        self.policies = Policies(service)

    def sweep(self, budget: int | None = None) -> Report:
        """Remove what no policy keeps; then, while the disk is low, the oldest work files.

        Parameters
        ----------
        budget : int, optional
            Of how many jobs files are removed at most; no limit by default.

        Raises
        ------
        DatabaseAway
            If it does not answer.
        """
        jobs.settle_removals(self._service)
        report = Report()
        overdue = (job for _, job in self._walk.overdue(self.policies))
        self._remove(report, overdue, self.policies.due, "age", budget)
        if disk.is_low(self._service):
            self._remove(report, self._walk.with_work(), disk.may_go, "disk", budget, self._is_low)
            report.low = self._is_low()
        return report

    def _remove(
        self,
        report: Report,
        found: Iterable[Job],
        due: Callable[[Job], Mapping[str, str]],
        why: str,
        budget: int | None,
        going_on: Callable[[], bool] = lambda: True,
    ) -> None:
        before = report.jobs
        for looked, job in enumerate(found, 1):
            if due(job):
                self._remove_one(report, job, due, why)
            if budget is not None:
                report.spent = report.jobs - before >= budget or looked >= budget * _TRIES
            if report.spent or not going_on():
                return

    def _is_low(self) -> bool:
        return disk.is_low(self._service)

    def _remove_one(
        self, report: Report, job: Job, due: Callable[[Job], Mapping[str, str]], why: str
    ) -> None:
        """Remove files of one job; what hinders that must not keep the others from it."""
        try:
            amounts = jobs.remove(self._service, job.id, due, why)
        except DatabaseAway:
            raise
        except NotFound:  # deleted meanwhile, or its directory is gone
            return
        except (JobRunnerError, OSError) as error:
            if job.id not in report.hindered:
                level = logging.INFO if isinstance(error, JobBusy) else logging.WARNING
                log.log(level, "files of job %s stay for now: %s", job.id, error)
            report.hindered.add(job.id)
            return
        report.jobs += bool(amounts)
        for kind, amount in amounts.items():
            report.removed.setdefault(kind, []).append(amount)
