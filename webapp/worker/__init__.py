"""Workers: a worker process per host and pool, with one slot (an RQ worker) per attempt at once.

How they end:

- SIGTERM or SIGINT to a worker process: it *drains*. No slot takes another job, attempts that run
  are waited for. A second one stops the attempts; their jobs are queued again and continue.
- SIGHUP to a worker process: it is replaced by the version that is installed now, as the same
  process (``exec``): its slots drain, and the new version starts slots of its own beside them. If
  the new version cannot work, the old one goes on.
- A slot that dies leaves its horse, and with it the attempt, running; the worker process adopts the
  horse and starts another slot.
- A horse that dies takes its attempt with it; the job is queued again.
- A worker process that dies leaves its slots draining.
"""

from webapp.worker.process import WorkerProcess

__all__ = ["WorkerProcess"]
