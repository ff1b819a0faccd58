"""What the service stands on: Redis, disk, versions."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import version

from prometheus_client.core import InfoMetricFamily, Metric

from webapp.metrics.families import PREFIX, gauge
from webapp.queue import QueueAway
from webapp.service import Service


def build() -> Iterator[Metric]:
    """Give what runs here."""
    about = {"version": version("ixmp-jobrunner"), "python": platform.python_version()}
    yield InfoMetricFamily(PREFIX + "build", "Version of the service, and of Python.", about)


def disk(service: Service) -> Iterator[Metric]:
    """Give the room of the disk with the jobs."""
    try:
        usage = shutil.disk_usage(service.home.disk)
    except OSError:  # it is not mounted: no number is better than a wrong one
        return
    yield gauge("disk_free_bytes", "Free space of the disk with the jobs.", [((), usage.free)])
    yield gauge("disk_total_bytes", "Size of the disk with the jobs.", [((), usage.total)])


def redis(service: Service, pools: Sequence[str]) -> Iterator[Metric]:
    """Give whether Redis answers, and how many wake-ups it has for workers of `pools`."""
    try:
        service.queue.ping()
        waiting = [((pool,), service.queue.length(pool)) for pool in pools]
    except QueueAway:
        yield reachable("redis", False)
        return
    yield reachable("redis", True)
    text = "Jobs with a slot whose wake-up no worker has taken yet."
    yield gauge("wakeups_waiting", text, waiting, ["pool"])


def reachable(name: str, answers: bool) -> Metric:
    """Give whether the database or Redis answers."""
    text = f"1 if the {name} answers." if name == "database" else "1 if Redis answers."
    return gauge(f"{name}_up", text, [((), answers)])
