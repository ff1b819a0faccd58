"""What monitors read: a page in the text format of Prometheus.

Nothing is kept in this process: every number comes from the database, Redis and the disk when it is
asked for, so that all web processes, on all hosts, give the same page. docs/monitoring.md has a row
for each metric.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from webapp.db import DatabaseAway
from webapp.metrics import around, figures, work
from webapp.metrics.families import gauge
from webapp.metrics.patience import within
from webapp.service import Service
from webapp.tally import INSTANCE

_PATIENCE = 5.0  # seconds for the database; monitors wait for 10 s, unless told otherwise

log = logging.getLogger(__name__)


def page(service: Service, instance: str | None = None) -> bytes:
    """Give the page.

    Parameters
    ----------
    service : Service
        Whose numbers.
    instance : str, optional
        The only instance whose numbers may be shown; what is about no instance always is.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(service, instance))
    return generate_latest(registry)


class _Page(Collector):
    def __init__(self, service: Service, instance: str | None) -> None:
        self._service = service
        self._instance = instance

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand, or the registry would collect everything once more."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Give all metrics; of what is away, only that it is."""
        began = time.perf_counter()
        for metric in _all(self._service):
            metric.samples = [s for s in metric.samples if self._is_shown(s.labels)]
            yield metric
        text = "How long it took to collect this page."
        yield gauge("scrape_seconds", text, [((), time.perf_counter() - began)])

    def _is_shown(self, labels: dict[str, str]) -> bool:
        return self._instance in (None, labels.get(INSTANCE, self._instance))


def _all(service: Service) -> Iterator[Metric]:
    yield from around.build()
    yield from around.disk(service)
    try:
        found, pools = within(_PATIENCE, lambda: _stored(service))
    except DatabaseAway as error:
        log.warning("metrics: %s", error)
        found, pools = [], []
        yield around.reachable("database", False)
    else:
        yield around.reachable("database", True)
    yield from found
    yield from around.redis(service, pools)


def _stored(service: Service) -> tuple[list[Metric], list[str]]:
    """Give what the database knows, and the names of the pools."""
    with service.db.read() as session:
        rooms = work.rooms(session, service)
        found = [
            *work.jobs(session),
            *work.pools(rooms),
            *work.workers(session),
            *work.pauses(session, service),
            *work.notices(session),
            *figures.read(session),
        ]
    return found, list(rooms)
