"""SUMMARIZE: the main figures, for the command line, the mail and the page."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from stagekit import files, program


def main(args: argparse.Namespace) -> None:
    """Write ``summary.json``; what is under ``headline`` is shown to people, line by line."""
    with args.input.open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    total = sum(int(row[1]) for row in rows)
    headline = {"Rows": f"{total:,}", f"Values of {header[0]}": f"{len(rows):,}"}
    files.write_json(args.output, {"headline": headline, "rows": total, "values": len(rows)})


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--error", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("summarize", arguments.error, lambda: main(arguments)))
