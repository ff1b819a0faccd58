"""Stage report: a page with the map for people, and a summary for programs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from stagekit import program
from stagekit.files import whole, write_json


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--layer", type=Path, required=True, help="what the stage write says of the layer")
    add("--drawing", type=Path, required=True, help="its map")
    add("--checked", type=Path, required=True, help="what the stage check changed")
    add("--registered", type=Path, required=True, help="the entry of the registry")
    add("--problems", type=Path, required=True, help="results/problems.json")
    add("--job", type=Path, required=True, help="job.yaml")
    add("--output", type=Path, required=True, help="the page to write")
    add("--summary", type=Path, required=True, help="the JSON summary to write")
    add("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Write both files."""
    import layer_page
    import yaml

    layer, drawing, checked, entry = (
        json.loads(path.read_text(encoding="utf-8"))
        for path in (args.layer, args.drawing, args.checked, args.registered)
    )
    problems = []
    if args.problems.is_file():
        problems = json.loads(args.problems.read_text(encoding="utf-8"))
    job = yaml.safe_load(args.job.read_text(encoding="utf-8"))
    figures = summary(layer, checked, entry, problems)
    figures["report"] = Path(os.path.relpath(args.output, args.job.parent)).as_posix()
    with whole(args.output) as temporary:
        text = layer_page.page(figures, layer, drawing, checked, problems, job)
        temporary.write_text(text, encoding="utf-8")
    write_json(args.summary, figures)


def summary(
    layer: dict[str, Any],
    checked: dict[str, Any],
    entry: dict[str, Any],
    problems: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """Give the figures of the report as a document for programs."""
    warnings = sum(problem["severity"] == "warning" for problem in problems)
    figures = {
        "layer": {key: entry[key] for key in ("name", "version", "attribution", "bounds")},
        "regions": layer["regions"],
        "missing": checked["missing"],
        "left_out": checked["left_out"],
        "renamed": checked["renamed"],
        "repaired": checked["repairs"],
        "cut": checked["cuts"],
        "dissolved": checked["dissolved"],
        "points": layer["points"],
        "coverage": layer["coverage"],
        "levels": layer["levels"],
        "checksum": entry["checksum"],
        "files": entry["files"],
        "warnings": warnings,
        "notes": sum(problem["severity"] == "note" for problem in problems),
    }
    return {"headline": headline(figures), **figures}


def headline(figures: dict[str, Any]) -> dict[str, str]:
    """Give the few lines that a command line shows at the end, by their labels."""
    layer, size = figures["layer"], sum(file["bytes"] for file in figures["files"])
    lines = {
        "Layer": f"{layer['name']}, version {layer['version']}",
        "Regions": f"{figures['regions']:,}",
        "Detail levels": ", ".join(
            f"{name} ({level['points']:,} points)" for name, level in figures["levels"].items()
        ),
        "Files": f"{len(figures['files'])} ({size / 1e6:,.1f} MB)",
    }
    if figures["missing"]:
        lines["Regions"] += f" ({len(figures['missing']):,} more on the platform)"
    if figures["repaired"]:
        lines["Repaired"] = f"{len(figures['repaired']):,}"
    return lines | ({"Warnings": f"{figures['warnings']:,}"} if figures["warnings"] else {})


if __name__ == "__main__":
    options = parse()
    sys.exit(program.run("report", options.error, lambda: main(options)))
