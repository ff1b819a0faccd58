"""OVERVIEW: what became of each part of a submission, on one page and in one summary."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

import yaml
from stagekit import program
from stagekit.files import whole, write_json
from stagekit.pages import templates

TITLES = {
    "timeseries": "Timeseries",
    "meta": "Meta indicators",
    "snapshot": "Snapshot of what was stored",
}


def main(args: argparse.Namespace) -> None:
    """Write the page and the summary."""
    job = yaml.safe_load(args.job.read_text(encoding="utf-8"))
    parts = [_part(text, args.output) for text in args.part]
    folder = Path(__file__).resolve().parent
    html = (
        templates(folder)
        .get_template("submission.html.j2")
        .render(job=job, parts=parts, file=_file(job))
    )
    with whole(args.output) as temporary:
        temporary.write_text(html, encoding="utf-8")
    headline = {
        f"{part['title']}: {label}": value
        for part in parts
        for label, value in part["headline"].items()
    }
    warnings = sum(part["warnings"] for part in parts)
    names = {part["name"]: {k: part[k] for k in ("headline", "report")} for part in parts}
    summary = {"headline": headline, "warnings": warnings, "sub_jobs": names}
    write_json(args.summary, {**summary, "report": "results/report.html"})


def _part(text: str, page: Path) -> dict[str, Any]:
    name, _, path = text.partition("=")
    summary = json.loads(Path(path).read_text(encoding="utf-8"))
    report = Path(path).with_name("report.html")
    return {
        "name": name,
        "title": TITLES[name],
        "headline": summary["headline"],
        "warnings": int(summary.get("warnings") or 0),
        "report": Path(os.path.relpath(report, page.parent)).as_posix(),
    }


def _file(job: dict[str, Any]) -> str:
    spec = job["inputs"]["workbook"]
    return str(spec.get("name") or Path(spec["path"]).name)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", type=Path, required=True, help="job.yaml")
    parser.add_argument(
        "--part", action="append", required=True, help="NAME=SUMMARY of a sub-job, in order"
    )
    parser.add_argument("--output", type=Path, required=True, help="the page to write")
    parser.add_argument("--summary", type=Path, required=True, help="the summary to write")
    parser.add_argument("--error", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("overview", arguments.error, lambda: main(arguments)))
