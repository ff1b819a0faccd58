"""Which variables the report draws, for which region, and how scenarios are told apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl
from report_data import WHOLE_YEAR

PREFERRED = (
    "Primary Energy",
    "Final Energy",
    "Secondary Energy|Electricity",
    "Emissions|CO2",
    "Temperature|Global Mean",
    "Price|Carbon",
    "GDP|PPP",
    "Population",
    "Emissions|Kyoto Gases",
    "Emissions|CO2|Energy and Industrial Processes",
    "GDP|MER",
    "Carbon Sequestration|CCS",
    "Emissions|CH4",
)
WORLD = ("World", "world", "Global", "World (R5)")
CHARTS = 9
LINES = 18  # more scenarios than this are drawn as a range
THIN_LINES = 80  # and up to this many also as thin lines
COLOURS, DASHES = 8, 4  # how many of each the style sheet and `report_plots` know
POINTS = 400  # of one line; longer ones are averaged
BUCKETS = (24, 168)  # preferred numbers of values to average: days and weeks of hourly data


@dataclass
class Line:
    """One scenario of one model, and how it is drawn.

    Attributes
    ----------
    model, scenario : str
    colour, dash : int
        Numbers of the colour (also of the marker) and of the line style.
    x, y : list of float
        Years, or days since 1970 for times; values.
    """

    model: str
    scenario: str
    colour: int
    dash: int
    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)


@dataclass
class Panel:
    """One small chart.

    Attributes
    ----------
    variable, region, unit : str
    lines : list of Line
        Only those that have data here.
    averaged : int
        How many values a point of the lines is the mean of.
    """

    variable: str
    region: str
    unit: str
    lines: list[Line]
    averaged: int = 1


def legend(pairs: list[tuple[str, str]]) -> tuple[list[Line], bool]:
    """Give each (model, scenario) its colour and line style.

    Returns
    -------
    list of Line
        Colour by scenario and line style by model where that is possible, else by order.
    bool
        Whether each can be told apart; if not, charts show the range of all.
    """
    models = list(dict.fromkeys(model for model, _ in pairs))
    scenarios = list(dict.fromkeys(scenario for _, scenario in pairs))
    if len(scenarios) <= COLOURS and len(models) <= DASHES:
        lines = [Line(m, s, scenarios.index(s), models.index(m)) for m, s in pairs]
    else:
        numbers = [divmod(i, COLOURS) for i in range(len(pairs))]
        lines = [
            Line(m, s, colour, dash % DASHES)
            for (m, s), (dash, colour) in zip(pairs, numbers, strict=True)
        ]
    return lines, len(pairs) <= LINES


def choose(stored: pl.DataFrame) -> list[dict[str, Any]]:
    """Choose variables, each with the region and the unit that most scenarios have.

    The well-known totals come first; the rest are those with the most scenarios and datapoints,
    the shorter name first.
    """
    counts = (
        stored.group_by("variable", "region", "unit")
        .agg(pairs=pl.struct("model", "scenario").n_unique(), points=pl.len())
        .with_columns(world=pl.col("region").is_in(WORLD))
        .sort(
            ["variable", "world", "pairs", "points", "region", "unit"],
            descending=[False, True, True, True, False, False],
        )
        .unique("variable", keep="first", maintain_order=True)
        .with_columns(
            rank=pl.col("variable").replace_strict(
                {name: i for i, name in enumerate(PREFERRED)},
                default=len(PREFERRED),
                return_dtype=pl.Int64,
            ),
            depth=pl.col("variable").str.count_matches("|", literal=True),
        )
    )
    order = ["rank", "pairs", "depth", "points", "variable"]
    return counts.sort(order, descending=[False, True, False, True, False]).head(CHARTS).to_dicts()


def abscissa(frame: pl.DataFrame, time: list[str]) -> pl.DataFrame:
    """Add the column ``x``: the year, parts of years in their order, or days since 1970."""
    if time == ["time"]:
        return frame.with_columns(x=pl.col("time").dt.timestamp("us") / 86_400e6)
    if time == ["year"]:
        return frame.with_columns(x=pl.col("year").cast(pl.Float64))
    whole = pl.col("subannual").is_in(WHOLE_YEAR)
    parts = frame.filter(~whole)["subannual"].unique(maintain_order=True).to_list()
    place = {name: (i + 0.5) / len(parts) for i, name in enumerate(sorted_parts(parts))}
    part = pl.col("subannual").replace_strict(place, default=0.0, return_dtype=pl.Float64)
    # a year's total and its parts do not belong on one line
    keep = whole if frame.select(whole.any()).item() else pl.lit(True)
    return frame.filter(keep).with_columns(x=pl.col("year") + part)


def sorted_parts(parts: list[str]) -> list[str]:
    """Sort parts of a year that start with a digit; leave names such as seasons in file order."""
    return sorted(parts) if all(part[:1].isdigit() for part in parts) else parts


def panels(stored: pl.DataFrame, time: list[str], lines: list[Line]) -> list[Panel]:
    """Collect what each chart shows.

    Parameters
    ----------
    stored : polars.DataFrame
    time : list of str
        Names of its time columns.
    lines : list of Line
        The scenarios, from `legend`.

    Returns
    -------
    list of Panel
        At most `CHARTS`, none for a table without values.
    """
    result = []
    for row in choose(stored):
        here = stored.filter(
            pl.col("variable") == row["variable"],
            pl.col("region") == row["region"],
            pl.col("unit") == row["unit"],
            pl.col("value").is_finite(),
        )
        here = abscissa(here, time).sort("x")
        panel = Panel(row["variable"], row["region"], row["unit"], [])
        groups = here.partition_by("model", "scenario", as_dict=True)
        longest = max((part.height for part in groups.values()), default=0)
        if longest > POINTS:
            least = -(-longest // POINTS)
            panel.averaged = next((n for n in BUCKETS if n >= least), least)
        for line in lines:
            part = groups.get((line.model, line.scenario))
            if part is None:
                continue
            part = _averaged(part, panel.averaged)
            x, y = part["x"].to_list(), part["value"].to_list()
            panel.lines.append(Line(line.model, line.scenario, line.colour, line.dash, x, y))
        if panel.lines:
            result.append(panel)
    return result


def _averaged(part: pl.DataFrame, n: int) -> pl.DataFrame:
    """Replace each `n` neighbouring points by their mean."""
    if n == 1:
        return part
    bucket = pl.int_range(pl.len()) // n
    return part.group_by(bucket, maintain_order=True).agg(
        pl.col("x").first(), pl.col("value").mean()
    )
