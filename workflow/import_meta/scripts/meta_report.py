"""Stage report: the diff as a page for people, and a summary for programs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

import yaml
from stagekit import program
from stagekit.files import whole, write_json
from stagekit.pages import templates

HERE = Path(__file__).resolve().parent
STYLE = HERE / "meta_report.css"
ROWS = 200  # of a table on the page; the files hold all
KINDS = ("added", "changed", "removed", "unchanged")
MODES = {
    "merge": "merge: what the file has was set, all else stayed",
    "replace": "replace: the scenarios have what the file has, and nothing else",
    "remove": "remove: what the file marks was taken away",
}
TYPES = {"bool": "true or false", "int": "whole number", "float": "number", "str": "text"}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="read's description")
    parser.add_argument("--diff", type=Path, required=True, help="check's diff")
    parser.add_argument("--stored", type=Path, required=True, help="results/stored.json")
    parser.add_argument("--problems", type=Path, required=True, help="results/problems.json")
    parser.add_argument("--job", type=Path, required=True, help="job.yaml")
    parser.add_argument("--output", type=Path, required=True, help="the page to write")
    parser.add_argument("--summary", type=Path, required=True, help="the summary to write")
    parser.add_argument("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Write both files."""
    source, diff, stored = (_read(path) for path in (args.source, args.diff, args.stored))
    problems = _read(args.problems) if args.problems.is_file() else []
    job = yaml.safe_load(args.job.read_text(encoding="utf-8")) if args.job.is_file() else {}
    warnings = sum(problem["severity"] == "warning" for problem in problems)
    html = page(source, diff, problems, job)
    with whole(args.output) as temporary:
        temporary.write_text(html, encoding="utf-8")
    report = Path(os.path.relpath(args.output, args.job.parent)).as_posix()
    write_json(args.summary, summary(diff, stored, warnings, report))


def summary(
    diff: dict[str, Any], stored: dict[str, Any], warnings: int, report: str
) -> dict[str, Any]:
    """Give the figures of the report as a document for programs."""
    counts, runs = diff["counts"], diff["runs"]
    changes = [f"{counts[kind]:,} {kind}" for kind in KINDS if counts[kind]]
    headline = {
        "Scenarios": f"{runs['changed']:,} of {runs['compared']:,} changed",
        "Meta indicators": ", ".join(changes) or "none",
    }
    if warnings:
        headline["Warnings"] = f"{warnings:,}"
    return {
        "headline": headline,
        "file": diff["file"],
        "mode": diff["mode"],
        "counts": counts,
        "scenarios": {"compared": runs["compared"], "changed": runs["changed"]},
        "stored": stored["runs"],
        "warnings": warnings,
        "report": report,
    }


def page(
    source: dict[str, Any],
    diff: dict[str, Any],
    problems: list[dict[str, Any]],
    job: dict[str, Any],
) -> str:
    """Render the page: one HTML document that needs nothing else."""
    environment = templates(HERE, [STYLE], count=_count, value=_value, kind=TYPES.__getitem__)
    facts = [
        ("Mode", MODES[diff["mode"]]),
        ("Sheet", source["sheet"]),
        ("Rows", f"{source['rows']:,}"),
        ("Job", job.get("id")),
        ("Submitted", (job.get("submitted") or {}).get("at")),
    ]
    return environment.get_template("meta_report.html.j2").render(
        job={"id": job.get("id", "")},
        diff=diff,
        facts=[(name, str(text)) for name, text in facts if text],
        kinds=KINDS,
        keys=_by_key(diff["entries"]),
        changes=[entry for entry in diff["entries"] if entry["change"] != "unchanged"],
        problems=problems,
        limit=ROWS,
    )


def _by_key(entries: list[dict[str, Any]]) -> list[tuple[str, Counter[str]]]:
    """Count what happened to each indicator; those with changes first."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        found[entry["key"]][entry["change"]] += 1

    def touched(item: tuple[str, Counter[str]]) -> int:
        return item[1]["unchanged"] - item[1].total()

    return sorted(found.items(), key=touched)


def _count(number: int) -> str:
    return f"{number:,}"


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    options = parse()
    sys.exit(program.run("report", options.error, lambda: main(options)))
