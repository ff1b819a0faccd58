"""From figures to the page: what each part of the report shows, and how much of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from markupsafe import Markup
from report_changes import Changes
from report_choice import THIN_LINES, Line, legend, panels
from report_data import Inputs, per_scenario
from report_plots import DASH_ARRAYS, NOTHING, chart, number, scale, table
from stagekit.pages import templates

HERE = Path(__file__).resolve().parent
ROWS = 30  # of a table on the page; the files hold all
PROBLEMS = 50
NAMES = 60
INDICATORS = 6  # columns of meta indicators
HOW = "The colour and the marker tell the scenario, the line style tells the model."
SHAPES = (  # the markers of `report_plots.MARKERS`, for the legend, around the origin
    '<circle r="3.4"/>',
    '<path d="M-3-3h6v6h-6z"/>',
    '<path d="M0-4l4 7h-8z"/>',
    '<path d="M0-4.4l3.4 4.4-3.4 4.4-3.4-4.4z"/>',
    '<path d="M0 4l4-7h-8z"/>',
    '<path d="M0-4.4l4.4 3.2-1.7 5.2h-5.4l-1.7-5.2z"/>',
    '<path d="M-3.6-3.6l7.2 7.2m0-7.2l-7.2 7.2" stroke-width="2.4"/>',
    '<path d="M-4 0h8M0-4v8M-3-3l6 6m0-6l-6 6"/>',
)


def count(value: Any) -> str:
    """Write a whole number with thousands separators."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def figure(value: Any) -> str:
    """Write any value of a table: numbers to six digits, truth as yes and no, nothing as a dash."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(float(f"{value:.6g}"))
    return str(value)


def moment(value: Any) -> str:
    """Write a time of ``job.yaml`` for people."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return str(value)
    if not isinstance(value, dt.datetime):
        return "" if value is None else str(value)
    if value.tzinfo is not None:
        value = value.astimezone(dt.UTC)
    return f"{value.day} {value:%B %Y, %H:%M} UTC"


def size_of(value: float) -> str:
    """Write a number of bytes for people."""
    units = ["bytes", "kB", "MB", "GB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    digits = 1 if value < 10 and units[0] != "bytes" else 0
    return f"{value:.{digits}f} {units[0]}"


def pinned(processing: dict[str, Any]) -> str:
    """Say which state of a processing repository was used; a plain folder has no commit."""
    commit = str(processing.get("commit") or "")
    kind = "content" if commit.startswith("sha256:") else "commit"
    return f"{kind} {commit.removeprefix('sha256:')[:10]}"


def facts(data: Inputs) -> list[tuple[str, str, str]]:
    """Give the lines of the header: name, value, and what to say when the pointer rests on it."""
    job = data.job
    submitted, release = job.get("submitted") or {}, job.get("release") or {}
    upload = (job.get("inputs") or {}).get("workbook") or {}
    processing = job.get("processing") or {}
    lines = [
        ("Job", job.get("id"), ""),
        ("Submitted", moment(submitted.get("at")), ""),
        ("By", submitted.get("by"), ""),
        ("Instance", job.get("instance"), ""),
        ("Profile", job.get("profile"), ""),
        ("Release", release.get("label"), release.get("digest")),
        ("Sheet", data.source.get("sheet"), ""),
    ]
    if "bytes" in upload:
        lines.append(("File size", size_of(upload["bytes"]), upload.get("sha256")))
    if processing:
        text = f"{processing.get('repository', '')}, {pinned(processing)}"
        lines.append(("Processing", text, processing.get("commit")))
    return [(name, str(value), str(title or "")) for name, value, title in lines if value]


def swatch(line: Line) -> Markup:
    """Draw a legend entry: a piece of the line with its marker."""
    return Markup(
        '<svg class="key" viewBox="0 0 34 12" aria-hidden="true" style="--c:var(--s{})">'
        '<path d="M1 6h32" stroke-dasharray="{}"/>'
        '<g transform="translate(17 6)" class="dot">{}</g></svg>'
    ).format(line.colour + 1, DASH_ARRAYS[line.dash], Markup(SHAPES[line.colour]))  # noqa: S704


def charts(data: Inputs) -> dict[str, Any]:
    """Draw the charts and say how to read them."""
    pairs = data.stored.select("model", "scenario").unique().sort("model", "scenario").rows()
    lines, single = legend(pairs)
    dates = data.time == ["time"]
    drawn = []
    for i, panel in enumerate(panels(data.stored, data.time, lines), start=1):
        head, rows = table(panel, dates) if single else ([], [])
        power = scale(panel)[1]
        drawn.append(
            {
                "panel": panel,
                "unit": f"{power} {panel.unit}".strip(),
                "svg": chart(panel, i, dates, single),
                "head": head,
                "rows": rows,
            }
        )
    keys: dict[str, list[tuple[str, Markup]]] = {}
    for line in lines if single else []:
        keys.setdefault(line.model, []).append((line.scenario, swatch(line)))
    return {
        "charts": drawn,
        "keys": keys,
        "how": HOW if _by_name(lines) else "Each scenario has its own colour and line style.",
        "pairs": len(pairs),
        "thin": len(pairs) <= THIN_LINES,
    }


def _by_name(lines: list[Line]) -> bool:
    """Whether each scenario has one colour and each model one line style."""
    colours = {(line.scenario, line.colour) for line in lines}
    dashes = {(line.model, line.dash) for line in lines}
    names = len({line.scenario for line in lines}), len({line.model for line in lines})
    return names == (len(colours), len(dashes))


def notes_on_regions(changes: Changes) -> dict[str, str]:
    """Say of each region whether processing renamed, made or dropped it."""
    origins: dict[str, list[str]] = {}
    for row in changes.renames:
        origins.setdefault(row["to"], []).append(row["from"])
    notes = {name: f"was {', '.join(old)}" for name, old in origins.items()}
    notes |= dict.fromkeys(changes.names("added", "regions"), "new")
    return notes | dict.fromkeys(changes.names("removed", "regions"), "gone")


def differs(row: dict[str, Any]) -> bool:
    """Whether processing made a difference to a region or variable."""
    return bool(row["added"] or row["removed"] or row["changed"])


def alike(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put variables with the same counts on one line, so that the table says something."""
    groups: dict[tuple[int, ...], dict[str, Any]] = {}
    for row in rows:
        counts = tuple(value for key, value in row.items() if key != "name")
        groups.setdefault(counts, {**row, "names": []})["names"].append(row["name"] or "(empty)")
    return list(groups.values())


def parts(changes: Changes) -> list[tuple[str, str, int, str]]:
    """Give the pieces of the bar that shows what processing did."""
    listed = [
        ("kept", "Kept as submitted", changes.kept - changes.renamed, "same names, same value"),
        ("renamed", "Kept, region renamed", changes.renamed, "same value"),
        ("changed", "Changed", changes.changed, "same names, another value"),
        ("added", "Added", changes.added, "aggregated or computed"),
        ("removed", "Removed", changes.removed, "submitted, not stored"),
    ]
    return [part for part in listed if part[2]]


def page(data: Inputs, changes: Changes, figures: dict[str, Any]) -> str:
    """Render the page.

    Parameters
    ----------
    data : Inputs
    changes : Changes
    figures : dict
        The summary, so that page and summary say the same.

    Returns
    -------
    str
        One HTML document that needs nothing else: no script, no address outside itself.
    """
    environment = templates(HERE, count=count, figure=figure)
    processing = data.job.get("processing")
    runs = data.imported.get("runs", [])
    indicators = [name for name in data.meta.columns if name not in ("model", "scenario")]
    order = {"error": 0, "warning": 1, "note": 2}
    problems = sorted(data.problems, key=lambda problem: order.get(problem["severity"], 3))
    notes = notes_on_regions(changes)
    return environment.get_template("report.html.j2").render(
        job=data.job,
        name=data.source.get("file") or "Data",
        source=data.source,
        processing=processing,
        pinned=pinned(processing or {}),
        facts=facts(data),
        figures=figures,
        submitted=per_scenario(data.submitted, data.time),
        changes=changes,
        parts=parts(changes),
        region_notes=notes,
        regions=[row for row in changes.regions if row["name"] in notes or differs(row)],
        variables=alike([row for row in changes.variables if differs(row)]),
        time=data.time,
        runs=runs,
        indicators=indicators[:INDICATORS],
        more_indicators=indicators[INDICATORS:],
        problems=problems,
        limit=ROWS,
        problem_limit=PROBLEMS,
        name_limit=NAMES,
        **charts(data),
    )
