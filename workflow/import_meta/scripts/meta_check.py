"""Stage check: what storing the table would change. It writes nothing to the platform."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

import meta_platform
from meta_diff import KINDS, absent, diff, write_csv
from meta_faults import MODES
from meta_load import load
from meta_submission import Submission
from meta_targets import Targets, find
from stagekit import files, platform, problems, program
from stagekit.message import line, summary
from stagekit.problems import Problem, StageError


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, required=True, help="read's runs")
    parser.add_argument("--values", type=Path, required=True, help="read's indicators")
    parser.add_argument("--source", type=Path, required=True, help="read's description")
    parser.add_argument("--mode", choices=MODES, default="merge")
    parser.add_argument(
        "--skip-unknown", action="store_true", help="leave out scenarios that are not there"
    )
    parser.add_argument("--output", type=Path, required=True, help="the diff, if all is well")
    parser.add_argument("--results", type=Path, required=True, help="folder of diff and problems")
    parser.add_argument("--listed", type=int, default=10, help="problems of a kind in the message")
    parser.add_argument("--embedded", type=Path, help="SQLite file of the embedded platform")
    parser.add_argument("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Compare the table with the platform; record all problems.

    Raises
    ------
    StageError
        ``invalid_data`` with all problems, if one of them is an error.
    """
    shown = [args.results / name for name in ("diff.json", "diff.csv")]
    for path in (args.output, *shown):
        path.unlink(missing_ok=True)  # what an earlier attempt found is no longer true
    submission = load(args.rows, args.values, args.source)
    found: list[Problem] = []
    document = diff(submission, args.mode, Targets(), {})
    if submission.rows:
        document, found = _compared(submission, args)
    problems.record(args.results, "check", found, after=["read"])
    files.write_json(shown[0], document)
    write_csv(shown[1], document)
    if any(problem.severity == "error" for problem in found):
        raise StageError("invalid_data", summary(found, submission.place, args.listed), found)
    for problem in found:
        print(f"{problem.severity} {problem.code}: {line(problem)[2:]}")
    _may_write(args, document)
    files.write_json(args.output, document)
    print(told(document))


def _compared(
    submission: Submission, args: argparse.Namespace
) -> tuple[dict[str, Any], list[Problem]]:
    """Give the diff, and the problems that only the platform can tell."""
    if _not_made_yet(args):
        targets, there = find(submission, [], args.skip_unknown), {}
    else:
        dsn = platform.address(args.embedded)
        platform.ready(dsn, embedded=_is_embedded(dsn, args))
        meta_platform.check_schema()
        with platform.explained(dsn), platform.engine(dsn).connect() as connection:
            targets = find(submission, meta_platform.runs(connection), args.skip_unknown)
            ids = sorted({run.id for run in targets.runs.values()})
            there = meta_platform.indicators(connection, ids)
    found = list(targets.problems)
    if args.mode == "remove":
        found += absent(submission, targets, there)
    return diff(submission, args.mode, targets, there), found


def _is_embedded(dsn: str, args: argparse.Namespace) -> bool:
    return dsn.startswith("sqlite") and args.embedded is not None


def _not_made_yet(args: argparse.Namespace) -> bool:
    """Tell whether the embedded platform is still to be made; this stage writes nothing."""
    dsn = platform.address(args.embedded)
    return _is_embedded(dsn, args) and not args.embedded.is_file()


def _may_write(args: argparse.Namespace, document: dict[str, Any]) -> None:
    """Say early that the user of the platform may only read; the diff is there by then."""
    if not document["runs"]["changed"]:
        return
    dsn = platform.address(args.embedded)
    tables = list(meta_platform.NEEDED)
    tables += [] if dsn.startswith("sqlite") else meta_platform.VERSIONED
    with platform.explained(dsn):
        platform.check_rights(platform.engine(dsn), dsn, tables)


def told(document: dict[str, Any]) -> str:
    """Write the counts of a diff as a sentence."""
    counts, runs = document["counts"], document["runs"]
    changes = ", ".join(f"{counts[kind]:,} {kind}" for kind in KINDS)
    return f"{runs['changed']:,} of {runs['compared']:,} scenarios would change: {changes}"


if __name__ == "__main__":
    options = parse()
    sys.exit(program.run("check", options.error, lambda: main(options)))
