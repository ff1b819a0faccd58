"""From figures to the page: what each part of the report shows, and how much of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stagekit.pages import templates

HERE = Path(__file__).resolve().parent
STYLE = HERE / "layer_report.css"
ROWS = 40  # of a table on the page; the files hold all
NAMES = 60
COLOURS = 8


def page(
    figures: dict[str, Any],
    layer: dict[str, Any],
    drawing: dict[str, Any],
    checked: dict[str, Any],
    problems: Sequence[dict[str, Any]],
    job: dict[str, Any],
) -> str:
    """Write the page.

    Parameters
    ----------
    figures : dict
        The summary.
    layer, drawing, checked : dict
        What the stages write and check wrote.
    problems : sequence of dict
        The problem table.
    job : dict
        ``job.yaml``.
    """
    environment = templates(HERE, [STYLE], count=_count, size=_size, share=_share)
    regions = sorted(drawing["regions"], key=lambda region: str(region["name"]))
    return environment.get_template("layer_report.html.j2").render(
        figures=figures,
        layer=layer,
        checked=checked,
        job={"id": job["id"]},
        facts=_facts(figures, layer, checked, job),
        map={
            "width": drawing["width"],
            "height": drawing["height"],
            "sea": _path(drawing["sea"], closed=True),
            "lines": _path(drawing["lines"], closed=False),
            "regions": [{**r, "path": _path(r["path"], closed=True)} for r in drawing["regions"]],
        },
        regions=regions,
        problems=sorted(problems, key=lambda problem: problem["severity"] != "warning"),
        rows=ROWS,
        names=NAMES,
        colours=COLOURS,
        total=sum(region["area_km2"] for region in regions),
    )


def _path(rings: Iterable[Sequence[Sequence[float]]], *, closed: bool) -> str:
    """Write rings as the path of an SVG: whole steps from point to point, in tenths."""
    texts = []
    for ring in rings:
        points = [(round(x * 10), round(y * 10)) for x, y in (ring[:-1] if closed else ring)]
        if not points:
            continue
        x, y = points[0]
        text = [f"M{x / 10:g} {y / 10:g}l"]
        for to_x, to_y in points[1:]:
            text.append(f"{(to_x - x) / 10:g} {(to_y - y) / 10:g} ")
            x, y = to_x, to_y
        texts.append("".join(text).rstrip() + ("z" if closed else ""))
    return "".join(texts)


def _facts(
    figures: dict[str, Any], layer: dict[str, Any], checked: dict[str, Any], job: dict[str, Any]
) -> list[tuple[str, str]]:
    source, entry = layer["source"], figures["layer"]
    inner = source["layer"] if source["layer"] != Path(source["file"]).stem else None
    west, south, east, north = entry["bounds"]
    facts = [
        ("File", source["file"] + (f", layer {inner}" if inner else "")),
        ("Coordinates in the file", source["crs"]),
        ("Column of names", checked["name_column"]),
        ("Bounds", f"{_degrees(west, 'W', 'E')} to {_degrees(east, 'W', 'E')},"
                   f" {_degrees(south, 'S', 'N')} to {_degrees(north, 'S', 'N')}"),
        ("Attribution", entry["attribution"] or "none given"),
    ]  # fmt: skip
    submitted = job.get("submitted") or {}
    if submitted.get("at"):
        facts.append(("Submitted", _moment(submitted["at"])))
    return facts


def _degrees(value: float, below: str, above: str) -> str:
    return f"{abs(value):.1f}°" + (below if value < 0 else above if value > 0 else "")


def _moment(value: Any) -> str:
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    value = value.astimezone(dt.UTC) if value.tzinfo else value
    return f"{value.day} {value:%B %Y, %H:%M} UTC"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _share(value: float) -> str:
    return f"{value:.1%}"


def _size(value: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if value < 999.5:
            return (
                f"{value:.0f} {unit}" if unit == "bytes" or value >= 10 else f"{value:.1f} {unit}"
            )
        value /= 1000
    return f"{value:.1f} GB"
