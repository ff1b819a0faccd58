"""COUNT: how often each value of a column occurs."""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from stagekit import files, nearest, program
from stagekit.problems import StageError


def main(args: argparse.Namespace) -> None:
    """Count, and write the table whole or not at all."""
    with args.input.open(newline="", encoding="utf-8-sig") as stream:
        table = csv.DictReader(stream)
        columns = list(table.fieldnames or [])
        if not columns:
            raise StageError("no_table", f"{args.input.name} has no header line.")
        if args.column not in columns:
            near = nearest.did_you_mean(nearest.nearest(args.column, columns))
            raise StageError(
                "no_column",
                f"{args.input.name} has no column {args.column!r}.{near}"
                f" It has: {', '.join(columns)}.",
            )
        counts = Counter(row[args.column] for row in table)
    with files.whole(args.output) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([args.column, "rows"])
        writer.writerows(counts.most_common())
    print(f"{counts.total()} rows with {len(counts)} values of {args.column}")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--column", required=True)
    parser.add_argument("--error", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("count", arguments.error, lambda: main(arguments)))
