"""Metrics as Prometheus's client library has them, their names with our prefix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

PREFIX = "jobrunner_"


def gauge(
    name: str,
    text: str,
    values: Iterable[tuple[Sequence[str], float]],
    labels: Sequence[str] = (),
) -> Metric:
    """Give something that goes up and down.

    Parameters
    ----------
    name : str
        Without the prefix.
    text : str
        What it tells.
    values : iterable of pairs
        The values of the labels, and the number.
    labels : sequence of str
        By what it is told apart.
    """
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family
