"""Write the report of an import: one HTML page for people and one JSON summary for programs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from report_changes import Changes, compare
from report_data import Inputs, document, request, same_layout, size, tidy
from report_view import page
from stagekit import program
from stagekit.files import whole, write_json

NAMES = 100  # names of a kind that the summary lists
SHOWN = 3  # versions that the headline names
VALUES = 10  # changed values that the page lists


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="what the stage read wrote")
    add("--processed", type=Path, required=True, help="what was imported")
    add("--processed-meta", type=Path, required=True, help="its meta indicators")
    add("--imported", type=Path, required=True, help="results/import.json")
    add("--verified", type=Path, help="work/verified.json")
    add("--source", type=Path, required=True, help="work/source.json")
    add("--problems", type=Path, help="results/problems.json; none means no warnings")
    add("--job", type=Path, required=True, help="job.yaml")
    add("--output", type=Path, required=True, help="the page to write")
    add("--summary", type=Path, required=True, help="the JSON summary to write")
    add("--error", type=Path, help="where to describe a failure")
    return parser.parse_args(argv)


def inputs(args: argparse.Namespace) -> Inputs:
    """Read all files that the report is about."""
    import polars as pl

    submitted, stored, time = same_layout(tidy(args.data), tidy(args.processed))
    return Inputs(
        submitted=submitted,
        stored=stored,
        time=time,
        meta=pl.read_parquet(args.processed_meta),
        imported=document(args.imported, {}),
        verified=document(args.verified, {}),
        source=document(args.source, {}),
        job=request(args.job),
        problems=document(args.problems, []),
    )


def created(data: Inputs) -> dict[str, list[str]]:
    """Give the names that did not exist on the platform before, by kind."""
    found = data.imported.get("created") or data.verified.get("create") or {}
    return {kind: sorted(found.get(kind) or []) for kind in ("regions", "units")}


def count(data: Inputs, severity: str) -> int:
    """Count the problems of one severity."""
    return sum(problem.get("severity") == severity for problem in data.problems)


def headline(figures: dict[str, Any]) -> dict[str, str]:
    """Give the few lines that a command line shows at the end, by their labels."""
    submitted, versions = figures["submitted"], figures["stored"]["versions"]
    if len(versions) <= SHOWN:
        which = "; ".join(
            f"{v['model']}, {v['scenario']}: version {v['version']}" for v in versions
        )
    else:
        numbers = sorted({version["version"] for version in versions})
        which = f"version {numbers[0]}" + (f" to {numbers[-1]}" if len(numbers) > 1 else " of each")
    models = "1 model" if submitted["models"] == 1 else f"{submitted['models']:,} models"
    stored = figures["stored"]["datapoints"]
    lines = {
        "Scenarios": f"{submitted['scenarios']:,} of {models}",
        "Datapoints": f"{submitted['datapoints']:,} submitted, {stored:,} stored",
        "Versions created": f"{len(versions):,} ({which})",
    }
    return lines | ({"Warnings": f"{figures['warnings']:,}"} if figures["warnings"] else {})


def summary(data: Inputs, changes: Changes, report: str) -> dict[str, Any]:
    """Give the figures of the report as a document for programs."""
    runs = data.imported.get("runs", [])
    kinds = ("added", "removed")
    figures = {
        "submitted": {"file": data.source.get("file"), **size(data.submitted)},
        "processed": {
            "datapoints": data.stored.height,
            "kept": changes.kept,
            "renamed": changes.renamed,
            "changed": changes.changed,
            "added": changes.added,
            "removed": changes.removed,
            "regions": {kind: changes.names(kind, "regions")[:NAMES] for kind in kinds}
            | {"renamed": changes.renames[:NAMES]},
            "variables": {kind: changes.names(kind, "variables")[:NAMES] for kind in kinds},
        },
        "stored": {
            "datapoints": data.imported.get("datapoints", 0),
            "scenarios": len(runs),
            "versions": [
                {key: run[key] for key in ("id", "model", "scenario", "version", "datapoints")}
                for run in runs
            ],
        },
        "created": created(data),
        "warnings": count(data, "warning"),
        "notes": count(data, "note"),
        "report": report,
    }
    return {"headline": headline(figures), **figures}


def main(args: argparse.Namespace) -> None:
    """Write both files."""
    data = inputs(args)
    changes = compare(data.submitted, data.stored, data.time, VALUES)
    report = Path(os.path.relpath(args.output, args.job.parent)).as_posix()
    figures = summary(data, changes, report)
    with whole(args.output) as temporary:
        temporary.write_text(page(data, changes, figures), encoding="utf-8")
    write_json(args.summary, figures)


if __name__ == "__main__":
    options = arguments()
    sys.exit(program.run("report", options.error, lambda: main(options)))
