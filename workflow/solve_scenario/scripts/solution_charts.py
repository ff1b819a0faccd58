"""Charts of a solution as SVG that takes its colours from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from markupsafe import Markup, escape
from solution_figures import ZERO, Part
from solution_words import amount

CHARTS, COLOURS, BARS = 8, 8, 10
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 372.0, 216.0, 46.0, 24.0, 8.0
PERIODS = 60  # columns of a chart


@dataclass(frozen=True)
class Chart:
    """A drawing with its title, what was added up, and its legend (colour and name)."""

    title: str
    note: str
    svg: Markup
    legend: tuple[tuple[str, str], ...] = ()


def charts(parts: Sequence[Part]) -> list[Chart]:
    """Draw the variables that have something to show, those with periods first."""
    drawn = []
    for part in parts:
        if part.kind != "variables" or not part.dimensions or not part.used:
            continue
        period = _period(part)
        drawn.append((period is None, _columns(part, period) if period else _bars(part)))
    return [chart for _, chart in sorted(drawn, key=lambda pair: pair[0])][:CHARTS]


def _period(part: Part) -> str | None:
    """Give the dimension that counts years: three or four digits, at least two of them."""
    for dim in part.dimensions:
        values = part.data[dim].unique()
        if 2 <= len(values) <= PERIODS and values.str.contains(r"^\d{3,4}$").all():
            return dim
    return None


def _columns(part: Part, period: str) -> Chart:
    """Draw stacked columns over the periods, in the colours of one other dimension."""
    others = [d for d in part.dimensions if d != period]
    sizes = {d: part.data[d].n_unique() for d in others}
    fitting = [d for d in others if 1 < sizes[d] <= COLOURS]
    by = max(fitting, key=lambda d: sizes[d]) if fitting else None
    keys = [period, by] if by else [period]
    sums = part.data.group_by(keys).agg(pl.col("level").sum())
    periods = sorted(part.data[period].unique().to_list(), key=int)
    names = part.data[by].unique(maintain_order=True).to_list() if by else [part.name]
    values = {
        (row[period], row[by] if by else part.name): row["level"]
        for row in sums.iter_rows(named=True)
    }
    table = [[values.get((p, name), 0.0) for p in periods] for name in names]
    shown = [n for n, row in enumerate(table) if any(abs(value) > ZERO for value in row)]
    summed = [d for d in others if d != by]
    note = f"by {by}" if by else ""
    note += f"{', ' if note else ''}sum over {' and '.join(summed)}" if summed else ""
    legend = tuple((_colour(n), names[n]) for n in shown) if by else ()
    return Chart(part.name, note, _stack(periods, {n: table[n] for n in shown}), legend)


def _stack(periods: Sequence[str], rows: Mapping[int, Sequence[float]]) -> Markup:
    """Draw rows of values on one another; each key is the number of a colour."""
    above = [sum(max(row[k], 0.0) for row in rows.values()) for k in range(len(periods))]
    below = [sum(min(row[k], 0.0) for row in rows.values()) for k in range(len(periods))]
    ticks = _ticks(min(0.0, *below), max(0.0, *above))
    low, high = ticks[0], ticks[-1]

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    pieces = [_tick(y(tick), tick) for tick in ticks]
    step = (WIDTH - LEFT) / len(periods)
    every = math.ceil(len(periods) / 8)
    for k, period in enumerate(periods):
        x, up, down = LEFT + step * (k + 0.15), 0.0, 0.0
        for colour, row in rows.items():
            value = row[k]
            top, end = (up + value, up) if value >= 0 else (down, down + value)
            if abs(value) > ZERO:
                pieces.append(
                    f'<rect x="{x:.1f}" y="{y(top):.1f}" width="{step * 0.7:.1f}"'
                    f' height="{y(end) - y(top):.2f}" style="fill:{_colour(colour)}"/>'
                )
            up, down = (top, down) if value >= 0 else (up, end)
        if k % every == 0:
            pieces.append(
                f'<text x="{x + step * 0.35:.1f}" y="{HEIGHT - 6}" text-anchor="middle">'
                f"{escape(period)}</text>"
            )
    return _svg(pieces, HEIGHT)


def _tick(y: float, value: float) -> str:
    return (
        f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" style="stroke:var(--line)"/>'
        f'<text x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{amount(value)}</text>'
    )


def _bars(part: Part) -> Chart:
    """Draw the largest levels of a variable without periods."""
    rows = part.data.filter(pl.col("level").abs() > ZERO)
    rows = rows.sort(pl.col("level").abs(), descending=True, maintain_order=True)
    top = rows.head(BARS)
    largest = float(top["level"].abs().max())  # type: ignore[arg-type]
    line, pieces = 20.0, []
    for number, row in enumerate(top.iter_rows(named=True)):
        y, text = number * line, ", ".join(str(row[dim]) for dim in part.dimensions)
        long = abs(row["level"]) / largest * (WIDTH - 60)
        pieces.append(
            f'<rect x="0" y="{y + 3}" width="{max(long, 1):.1f}" height="{line - 6}"'
            ' style="fill:var(--s1);opacity:.28"/>'
            f'<text x="5" y="{y + 14}">{escape(_short(text))}</text>'
            f'<text x="{WIDTH}" y="{y + 14}" text-anchor="end">{amount(row["level"])}</text>'
        )
    more = f"the largest {len(top)} of {len(rows)} values" if len(rows) > len(top) else ""
    return Chart(part.name, more or "all values that are not 0", _svg(pieces, line * len(top)))


def _short(text: str) -> str:
    return text if len(text) <= 44 else f"{text[:43]}…"


def _svg(pieces: Sequence[str], height: float) -> Markup:
    inside = "".join(pieces)
    return Markup(  # noqa: S704 - names are escaped above
        f'<svg viewBox="0 0 {WIDTH:g} {height:g}" font-size="11" aria-hidden="true">{inside}</svg>'
    )


def _colour(place: int) -> str:
    return f"var(--s{place % COLOURS + 1})"


def _ticks(low: float, high: float) -> list[float]:
    """Give round numbers that cover a range, about five of them."""
    span = high - low or 1.0
    raw = span / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    first, last = math.floor(low / step + ZERO), math.ceil(high / step - ZERO)
    return [number * step for number in range(first, max(last, first + 1) + 1)]
