"""The preview of a layer: its map as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke

PALETTE = (
    "#a9cbe8", "#f5c99b", "#b5dcb3", "#d8c1e4", "#f2b9b5", "#cfd79c", "#a6dcd8", "#e8d9a8",
)  # fmt: skip
SEA, LINE, BORDER, INK, SOFT = "#eef4f8", "#d5e0e8", "#5b6b7a", "#1c2733", "#5a6774"
SCALE = 1.6  # pixels of the picture to a unit of the drawing
_HEAD, _FOOT = 44.0, 26.0  # above and below the map
_LEGEND = 230.0  # beside it, where names have no room on it
_ROW = 18.0
_FONT = 0.72  # points of a letter to a unit of the drawing


def save(drawing: dict[str, Any], path: Path, name: str, attribution: str) -> None:
    """Draw the map with its title, legend and attribution.

    Parameters
    ----------
    drawing : dict
        From `layer_drawing.draw`.
    path : Path
        The PNG.
    name, attribution : str
        What stands above and below the map.
    """
    legend = [region for region in drawing["regions"] if _number(region) is not None]
    side = _LEGEND if legend else 0.0
    width, height = drawing["width"] + side, drawing["height"] + _HEAD + _FOOT
    figure = Figure(figsize=(width / 72, height / 72), dpi=72 * SCALE, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height - _HEAD, -_HEAD))
    axes.axis("off")
    with mpl.rc_context({"font.family": "DejaVu Sans", "text.parse_math": False}):
        _map(axes, drawing)
        _words(axes, drawing, name, attribution)
        _legend(axes, drawing, legend)
        figure.savefig(path, format="png", metadata={"Software": None, "Title": name})


def _map(axes: Any, drawing: dict[str, Any]) -> None:
    _patch(axes, drawing["sea"], facecolor=SEA, edgecolor="none", zorder=0)
    for line in drawing["lines"]:
        axes.plot(*zip(*line, strict=True), color=LINE, linewidth=0.6, zorder=0.5)
    for region in drawing["regions"]:
        colour = PALETTE[region["colour"] % len(PALETTE)]
        _patch(axes, region["path"], facecolor=colour, edgecolor=BORDER, linewidth=0.5)
    for region in drawing["regions"]:
        label = region["label"]
        if label is not None:
            axes.text(
                label["x"], label["y"], "\n".join(label["lines"]), color=INK, ha="center",
                va="center", fontsize=label["size"] * _FONT, linespacing=1.1,
                path_effects=[withStroke(linewidth=2.2, foreground="white", alpha=0.75)],
            )  # fmt: skip


def _patch(axes: Any, rings: list[Any], **style: Any) -> None:
    vertices, codes = [], []
    for ring in rings:
        vertices += ring
        codes += [Outline.MOVETO, *[Outline.LINETO] * (len(ring) - 2), Outline.CLOSEPOLY]
    if vertices:
        axes.add_patch(PathPatch(Outline(vertices, codes), joinstyle="round", **style))


def _words(axes: Any, drawing: dict[str, Any], name: str, attribution: str) -> None:
    count = len(drawing["regions"])
    axes.text(14, -19, name, color=INK, fontsize=13, fontweight="bold", va="center")
    said = f"{count} region" if count == 1 else f"{count} regions"
    axes.text(drawing["width"] - 14, -19, said, color=SOFT, fontsize=9, va="center", ha="right")
    if attribution:
        shown = attribution if len(attribution) <= 150 else attribution[:149] + "…"
        axes.text(14, drawing["height"] + _FOOT / 2 - 3, shown, color=SOFT, fontsize=8, va="center")


def _legend(axes: Any, drawing: dict[str, Any], regions: list[dict[str, Any]]) -> None:
    rows = int((drawing["height"] - _ROW) // _ROW)
    left = drawing["width"] + 8
    for at, region in enumerate(sorted(regions, key=lambda r: int(_number(r) or 0))):
        y = (at + 1) * _ROW
        if at == rows - 1 and len(regions) > rows:
            more = f"… and {len(regions) - at} more"
            axes.text(left, y, more, color=SOFT, fontsize=8, va="center")
            return
        shown = region["name"] if len(region["name"]) <= 30 else region["name"][:29] + "…"
        axes.text(left, y, str(_number(region)), color=SOFT, fontsize=8, va="center")
        axes.text(left + 24, y, shown, color=INK, fontsize=8, va="center")


def _number(region: dict[str, Any]) -> int | None:
    return (region["label"] or {}).get("number")
