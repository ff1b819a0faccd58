"""Small line charts as SVG that takes its colours from the page's style sheet."""

from __future__ import annotations

import datetime as dt
import io
import math
import re
from collections import defaultdict

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from report_choice import COLOURS, THIN_LINES, Line, Panel

# Stand-ins that the page replaces by its own colours, which differ in the dark and in print.
INK, FAINT, RANGE = "#010203", "#010204", "#010205"
SCENARIO = [f"#0102{16 + i:02x}" for i in range(COLOURS)]
VARIABLES = {INK: "--ink-2", FAINT: "--line", RANGE: "--s1"} | {
    colour: f"--s{i + 1}" for i, colour in enumerate(SCENARIO)
}
DASHES: list[str | tuple[int, tuple[float, ...]]] = ["-", (0, (4, 1.6)), (0, (1, 1.3)), "-."]
DASH_ARRAYS = ["", "7 3", "2 2.5", "8 3 2 3"]
MARKERS = "os^DvPX*"
WIDTH, HEIGHT = 372, 216  # points; the page scales it
POWERS = {1e6: "million", 1e9: "billion", 1e12: "trillion"}
MINUS, NOTHING = "\u2212", "\u2013"
MARKED = 24  # lines with more points than this carry no markers

mpl.rcParams["svg.fonttype"] = "none"  # text stays text: it can be read, searched and themed
mpl.rcParams["svg.hashsalt"] = "report"  # equal data give equal bytes
mpl.rcParams["path.simplify_threshold"] = 0.5
mpl.rcParams["font.size"] = 10.5


def scale(panel: Panel) -> tuple[float, str]:
    """Give the number to divide by and its name, so that ticks stay short."""
    top = max(abs(y) for line in panel.lines for y in line.y)
    factor = max((power for power in POWERS if top >= 2 * power), default=1.0)
    return factor, POWERS.get(factor, "")


def chart(panel: Panel, number: int, dates: bool, single: bool) -> Markup:
    """Draw one panel.

    Parameters
    ----------
    panel : Panel
    number : int
        Number of the chart on the page; keeps its element ids apart from those of others.
    dates : bool
        Whether the abscissa is in days since 1970.
    single : bool
        Whether each scenario has a line of its own; else the range of all is drawn.

    Returns
    -------
    Markup
        An ``svg`` element with a description for those who cannot see it.
    """
    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    figure.patch.set_visible(False)  # the page's own background shows
    axes.patch.set_visible(False)
    factor, _ = scale(panel)
    if single:
        for line in panel.lines:
            _draw(axes, line, factor)
    else:
        _draw_range(axes, panel.lines, factor)
    _style(axes, panel, dates)
    stream = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    FigureCanvasSVG(figure).print_svg(stream, metadata=nothing)
    return _themed(stream.getvalue(), number, describe(panel, dates))


def _draw(axes: Axes, line: Line, factor: float) -> None:
    axes.plot(
        line.x,
        [y / factor for y in line.y],
        color=SCENARIO[line.colour],
        linestyle=DASHES[line.dash],
        linewidth=1.5,
        marker=MARKERS[line.colour] if len(line.x) <= MARKED else None,
        markersize=3.6,
        markeredgewidth=0,
    )


def quantiles(lines: list[Line]) -> tuple[list[float], np.ndarray]:
    """Give, at each x, the lowest value, both quartiles, the median and the highest value.

    Returns
    -------
    list of float, array of shape (5, x)
    """
    values: dict[float, list[float]] = defaultdict(list)
    for line in lines:
        for x, y in zip(line.x, line.y, strict=True):
            values[x].append(y)
    xs = sorted(values)
    return xs, np.array([np.quantile(values[x], [0, 0.25, 0.5, 0.75, 1]) for x in xs]).T


def _draw_range(axes: Axes, lines: list[Line], factor: float) -> None:
    xs, bands = quantiles(lines)
    low, lower, middle, upper, high = bands / factor
    axes.fill_between(xs, low, high, color=RANGE, alpha=0.16, linewidth=0)
    axes.fill_between(xs, lower, upper, color=RANGE, alpha=0.3, linewidth=0)
    if len(lines) <= THIN_LINES:
        for line in lines:
            axes.plot(line.x, [y / factor for y in line.y], color=INK, alpha=0.35, linewidth=0.5)
    axes.plot(xs, middle, color=RANGE, linewidth=2)


def number(value: float) -> str:
    """Write a number with thousands separators and a true minus."""
    rounded = f"{value:,.10g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.3g}"
    return rounded.replace("-", MINUS)


def _style(axes: Axes, panel: Panel, dates: bool) -> None:
    low, high = axes.dataLim.intervaly
    if low > 0 and low < 0.55 * high:
        axes.set_ylim(bottom=0)
    elif low < 0 < high:
        axes.axhline(0, color=INK, linewidth=0.8, zorder=0.5)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    if dates:
        locator = AutoDateLocator(minticks=3, maxticks=6)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
        if len({x for line in panel.lines for x in line.x}) == 1:
            only = panel.lines[0].x[0]
            axes.set_xlim(only - 1, only + 1)
            axes.set_xticks([only])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=6, colors=INK)
    axes.margins(x=0.02)
    longest = max((len(number(tick)) for tick in axes.get_yticks()), default=1)
    left = (longest * 6.2 + 10) / WIDTH
    axes.set_position((left, 0.11, 0.965 - left, 0.84))


def _themed(svg: str, number: int, description: str) -> Markup:
    """Cut the element out of the document, make its ids its own and its colours the page's."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="c{number}-\1"', svg)
    svg = re.sub(r'(xlink:)?href="#([^"]+)"', rf'href="#c{number}-\2"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#c{number}-\1)", svg)
    svg = re.sub(r'font: (\d+)px [^;"]*', r"font-size: \1px", svg)
    svg = re.sub(r"#0102[0-9a-f]{2}", lambda m: f"var({VARIABLES.get(m[0], '--ink')})", svg)
    start = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="c{number}-desc">'
        f'<desc id="c{number}-desc">{escape(description)}</desc>'
    )
    return Markup(re.sub(r"^<svg[^>]*>", lambda _: start, svg))  # noqa: S704


def when(x: float, dates: bool) -> str:
    """Write a place on the abscissa for people."""
    if not dates:
        return f"{math.floor(x)}"
    stamp = dt.datetime(1970, 1, 1) + dt.timedelta(days=x)
    return stamp.strftime("%Y-%m-%d %H:%M").removesuffix(" 00:00")


def describe(panel: Panel, dates: bool, most: int = 6) -> str:
    """Say in words what a chart shows: its range in time, and each line's first and last value."""
    xs = [x for line in panel.lines for x in line.x]
    unit = f" {panel.unit}" if panel.unit else ""
    text = f"Line chart of {panel.variable} in {panel.region}, "
    text += f"{when(min(xs), dates)} to {when(max(xs), dates)}."
    for line in panel.lines[:most]:
        first, last = number(float(f"{line.y[0]:.4g}")), number(float(f"{line.y[-1]:.4g}"))
        text += f" {line.model}, {line.scenario}: from {first} to {last}{unit}."
    if len(panel.lines) > most:
        text += f" And {len(panel.lines) - most:,} more scenarios."
    return text


def table(panel: Panel, dates: bool, columns: int = 10) -> tuple[list[str], list[list[str]]]:
    """Give the values behind a chart, at no more than `columns` evenly chosen places.

    Returns
    -------
    list of str, list of list of str
        The places; one row per line: model, scenario, then a value or a dash at each place.
    """
    xs = sorted({x for line in panel.lines for x in line.x})
    if len(xs) > columns:
        xs = [xs[round(i * (len(xs) - 1) / (columns - 1))] for i in range(columns)]
    rows = []
    for line in panel.lines:
        known = dict(zip(line.x, line.y, strict=True))
        cells = [number(float(f"{known[x]:.5g}")) if x in known else NOTHING for x in xs]
        rows.append([line.model, line.scenario, *cells])
    return [when(x, dates) for x in xs], rows
