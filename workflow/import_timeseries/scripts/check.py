"""Stage check: everything that can be known about the data before anything slow, all in one go."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from checking.cells import odd_cells
from checking.definitions import definition_notes
from checking.indicators import indicator_problems
from checking.names import platform_problems
from checking.rows import duplicates, incomplete_rows, long_names
from checking.submission import Submission, load_submission
from stagekit import program
from stagekit.files import write_json
from stagekit.message import line, summary
from stagekit.platform_names import read_names
from stagekit.problems import Problem, StageError, record


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True, help="read's tidy table")
    parser.add_argument("--meta", type=Path, required=True, help="read's meta indicators")
    parser.add_argument("--source", type=Path, required=True, help="read's description")
    parser.add_argument("--cells", type=Path, help="read's cells that are no numbers")
    parser.add_argument("--output", type=Path, required=True, help="written if all is well (JSON)")
    parser.add_argument("--problems", type=Path, required=True, help="folder of problems.json")
    parser.add_argument("--listed", type=int, default=10, help="problems of a kind in the message")
    parser.add_argument("--definitions", type=Path, help="checkout of a processing repository")
    parser.add_argument(
        "--platform",
        action="store_true",
        help=f"check names against the platform: --embedded, else ${program.DSN_VARIABLE}",
    )
    parser.add_argument("--embedded", type=Path, help="file of an embedded platform")
    parser.add_argument("--create-names", action="store_true", help="unknown names are created")
    parser.add_argument("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Check the data and record all problems.

    Raises
    ------
    StageError
        ``invalid_data`` with all problems, if one of them is an error.
    """
    args.output.unlink(missing_ok=True)
    submission = load_submission(args.input, args.meta, args.cells, args.source)
    problems = list(_data_problems(submission, args))
    unavailable: StageError | None = None
    try:
        problems += _name_problems(submission, args)
    except StageError as error:  # what is wrong with the data is said all the same
        unavailable = error
        problems.append(Problem(error.code, error.message))
    record(args.problems, "check", problems, after=["read"])
    errors = [problem for problem in problems if problem.severity == "error"]
    if unavailable is not None and len(errors) == 1:
        raise unavailable
    if errors:
        message = summary(problems, submission.place, args.listed)
        raise StageError("invalid_data", message, _errors_first(problems))
    for problem in problems:
        print(f"{problem.severity} {problem.code}: {line(problem)[2:]}")
    write_json(args.output, _checked(submission, problems))


def _data_problems(submission: Submission, args: argparse.Namespace) -> Iterator[Problem]:
    """Give what the data alone tell."""
    processed_first = args.definitions is not None
    yield from submission.read_problems()
    if submission.data.is_empty():
        yield submission.problem("no_data", "There is no data at all.", [], count=0)
    yield from incomplete_rows(submission)
    yield from odd_cells(submission)
    yield from duplicates(submission, as_stored=not processed_first)
    yield from indicator_problems(submission)
    if not processed_first:
        yield from long_names(submission)


def _name_problems(submission: Submission, args: argparse.Namespace) -> list[Problem]:
    """Give what the processing repository's definitions or the platform say about names."""
    found: list[Problem] = []
    if args.definitions is not None:
        found += definition_notes(submission, args.definitions)
    if not args.platform and args.embedded is None:
        return found
    dsn = os.environ.get(program.DSN_VARIABLE) or None
    names = read_names(None if args.embedded else dsn, args.embedded)
    if names is not None:
        return [*found, *platform_problems(submission, names, create=args.create_names)]
    message = (
        "The platform's version is not known to this stage: names of regions and units are "
        "checked later, in stage verify."
    )
    return [*found, Problem("names_checked_later", message, "note")]


def _errors_first(problems: Sequence[Problem]) -> list[Problem]:
    order = ("error", "warning", "note")
    return sorted(problems, key=lambda problem: order.index(problem.severity))


def _checked(submission: Submission, problems: Sequence[Problem]) -> dict[str, object]:
    severities = Counter(problem.severity for problem in problems)
    pairs = submission.data.select("model", "scenario").unique().height
    return {
        "datapoints": submission.data.height,
        "scenarios": pairs,
        "indicators": submission.meta.width - 2,
        "warnings": severities["warning"],
        "notes": severities["note"],
        "codes": dict(Counter(problem.code for problem in problems)),
    }


if __name__ == "__main__":
    options = parse()
    sys.exit(program.run("check", options.error, lambda: main(options)))
