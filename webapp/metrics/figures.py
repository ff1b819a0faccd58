"""Counters and histograms, from the tallies that are kept with each event."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp import tally
from webapp.models import Tally
from webapp.tally import ENDLESS, SUM, Figure

_Kept = dict[tuple[str, ...], dict[str, float]]  # by values of the labels: numbers by bucket


def read(session: Session) -> Iterator[Metric]:
    """Give all counters and histograms."""
    kept: dict[str, _Kept] = {figure.name: {} for figure in tally.FIGURES}
    labels = {figure.name: figure.labels for figure in tally.FIGURES}
    query = select(Tally.name, Tally.labels, Tally.bucket, Tally.number)
    for name, text, bucket, number in session.execute(query):
        if name in kept:  # another version, which works beside this one, may count more
            values = _values(text, labels[name])
            kept[name].setdefault(values, {})[bucket] = number
    for figure in tally.FIGURES:
        make = _histogram if figure.buckets else _counter
        yield make(figure, kept[figure.name])


def _values(text: str, labels: Sequence[str]) -> tuple[str, ...]:
    found = json.loads(text)
    return tuple(str(found.get(label, "")) for label in labels)


def _counter(figure: Figure, kept: _Kept) -> Metric:
    family = CounterMetricFamily(figure.name, figure.help, labels=figure.labels)
    for values, numbers in sorted(kept.items()):
        family.add_metric(values, numbers.get("", 0.0))
    return family


def _histogram(figure: Figure, kept: _Kept) -> Metric:
    family = HistogramMetricFamily(figure.name, figure.help, labels=figure.labels)
    for values, numbers in sorted(kept.items()):
        so_far, buckets = 0.0, []
        for limit in (*(f"{bucket:g}" for bucket in figure.buckets), ENDLESS):
            so_far += numbers.get(limit, 0.0)
            buckets.append((limit, so_far))
        family.add_metric(values, buckets, numbers.get(SUM, 0.0))
    return family
