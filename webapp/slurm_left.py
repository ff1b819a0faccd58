"""What ended attempts may have left in SLURM, because it did not answer when they ended.

Nothing of it can begin to work any more, and no further attempt of its job starts before it is
gone. But a job that nobody runs again would leave its SLURM jobs in the queue of the cluster.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from sqlalchemy import func, select

from runner import leader, record
from runner.errors import JobRunnerError, NotFound
from webapp import jobs, pools, supervisor
from webapp.lease import lease
from webapp.models import ENDED, Job, is_whole
from webapp.service import Service

_EVERY = 60.0  # seconds
_FIRST = 30 * 24 * 3600.0  # seconds that the first look goes back
_OVERLAP = 3600.0  # seconds that a later one goes back before the one before: clocks differ

log = logging.getLogger(__name__)


def watch(service: Service) -> None:
    """Look after it now and then, for ever; of all hosts of a home, one does."""
    after = LookAfter(service)
    while True:
        try:
            with lease(service.home.path, "slurm") as mine:
                if mine:
                    after.look()
        except Exception:  # the next round may do better
            log.exception("what is left in SLURM cannot be looked after now")
        time.sleep(_EVERY)


class LookAfter:
    """Remembers which ended jobs may have left something in SLURM.

    Parameters
    ----------
    service : Service
        Whose jobs.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._left: set[str] = set()
        self._since = pools.seconds_ago(_FIRST)

    def look(self) -> int:
        """Cancel what is left, once more; give how many jobs have nothing left any more by that."""
        now = pools.seconds_ago(_OVERLAP)
        self._left.update(self._found())
        self._since = now  # not before that has succeeded
        done = {job_id for job_id in sorted(self._left) if self._is_gone(job_id)}
        self._left -= done
        return len(done)

    def _found(self) -> Iterator[str]:
        """Give the jobs that ended lately and whose records say so."""
        ended = func.coalesce(Job.finished, "") >= self._since  # as its index has it
        # those without cores of their pool have their rules run elsewhere
        query = select(Job).where(ended, Job.cores == 0, Job.status.in_(ENDED), is_whole())
        with self._service.db.read() as session:
            for job in session.scalars(query.execution_options(yield_per=1000)):
                try:
                    records = record.records(self._service.directory(job))
                    if not all(map(record.has_left_slurm, records)):
                        yield job.id
                except (JobRunnerError, OSError):  # it was deleted; its rule runs end by that
                    continue

    def _is_gone(self, job_id: str) -> bool:
        """Cancel what a job has left; tell whether nobody needs to look after it any more."""
        service = self._service
        try:
            with service.db.read() as session:
                job = jobs.get(session, job_id)
                directory = service.directory(job)
            if job.status not in ENDED:  # whoever starts its next attempt sees to it
                return True
            with supervisor.hold(directory.path, grace=0) as free:
                if not free or leader.is_alive(directory.path):
                    return False
                try:
                    record.vacate(directory, timeout=0)
                finally:
                    jobs.take_over(service, job_id)  # also that it is not gone
        except NotFound as error:
            log.warning("job %s is not looked after any more: %s", job_id, error)
        except (JobRunnerError, OSError) as error:  # a later look may do better
            log.warning("what job %s has left in SLURM is still there: %s", job_id, error)
            return False
        return True
