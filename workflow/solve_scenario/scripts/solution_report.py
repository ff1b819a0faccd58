"""REPORT: one HTML page for people and one JSON summary for programs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from solution_figures import Solution, read
from solution_page import page
from solution_words import amount, duration
from stagekit import program
from stagekit.files import whole, write_json

PRICES = 10  # shadow prices that the summary lists


def main(args: argparse.Namespace) -> None:
    """Write both files."""
    found = read(args)
    figures = summary(found, Path(os.path.relpath(args.output, args.job.parent)).as_posix())
    with whole(args.output) as temporary:
        temporary.write_text(page(found, figures), encoding="utf-8")
    write_json(args.summary, figures)


def headline(found: Solution) -> dict[str, str]:
    """Give the few lines that a command line shows at the end, by their labels."""
    about, stored = found.about, found.stored
    gap = f", gap {about['gap']:.3%}" if about["gap"] else ""
    work = f", {amount(about['iterations'])} iterations" if about["iterations"] else ""
    default = ", the default version" if stored["default"] else ""
    return {
        "Scenario": f"{stored['model']}, {stored['scenario']}, version {stored['solved_version']}",
        "Status": f"{about['status']}{gap}",
        "Objective": amount(about["objective"]),
        "Solved": f"in {duration(about['seconds'])} by {about['solver']}{work}",
        "Stored as": f"version {stored['version']}{default}",
    }


def summary(found: Solution, report: str) -> dict[str, Any]:
    """Give the figures of the report as a document for programs."""
    about, stored = found.about, found.stored
    keys = ("status", "objective", "sense", "gap", "bound", "iterations", "nodes", "seconds")
    return {
        "headline": headline(found),
        **{key: about[key] for key in keys},
        "memory_mb": about["memory_mb"],
        "solver": about["solver"],
        "marginals": about["marginals"],
        "model": {key: found.model.get(key) for key in ("plugin", "sha256", "columns", "rows")},
        "stored": {
            key: value for key, value in stored.items() if key not in ("objective", "status")
        },
        "shadow_prices": [
            {"equation": row.name, "at": list(row.at), "level": row.level, "marginal": row.marginal}
            for row in found.prices[:PRICES]
        ],
        "report": report,
    }


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = ("items", "model", "solution", "about", "stored", "job", "output", "summary")
    for name in names:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--error", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("report", arguments.error, lambda: main(arguments)))
