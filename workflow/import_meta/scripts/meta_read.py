"""Stage read: the submitted file becomes runs and values, if nothing is wrong with any of them."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from meta_faults import MODES, faults
from meta_json import is_json, read_json
from meta_rows import Rows
from meta_submission import Submission
from meta_table import read_table
from readkit.sniff import ACCEPTED
from readkit.unpack import SCRATCH, Source, opened
from stagekit import program
from stagekit.files import write_json
from stagekit.message import line, summary
from stagekit.problems import Problem, StageError, record
from stagekit.tables import write_parquet


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True, help="the submitted file")
    parser.add_argument("--rows", type=Path, required=True, help="the runs (parquet)")
    parser.add_argument("--values", type=Path, required=True, help="their indicators (parquet)")
    parser.add_argument("--source", type=Path, required=True, help="where all came from (JSON)")
    parser.add_argument("--sheet", help="name of the sheet")
    parser.add_argument(
        "--optional", action="store_true", help="a file without indicators is no error"
    )
    parser.add_argument("--mode", choices=MODES, default="merge")
    parser.add_argument("--problems", type=Path, required=True, help="folder of problems.json")
    parser.add_argument("--listed", type=int, default=10, help="problems of a kind in the message")
    parser.add_argument("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Read ``args.input`` and write the three outputs, or none of them.

    Raises
    ------
    StageError
        If the file cannot be read as a table of indicators; ``invalid_data`` with all problems of
        its rows and cells that can be known without the platform.
    """
    scratch = args.rows.parent
    scratch.mkdir(parents=True, exist_ok=True)
    for path in (args.rows, args.values, args.source):
        path.unlink(missing_ok=True)  # of a file that was another one
    for left in scratch.glob(f"{SCRATCH}*"):  # of an attempt that was killed
        shutil.rmtree(left)
    accepted = ACCEPTED.replace("parquet", "parquet, json")
    with ExitStack() as stack:
        source = stack.enter_context(opened(args.input, scratch, accepted))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=SCRATCH, dir=scratch)))
        found = _read(source, folder, args)
        rows = _nothing(source) if found is None else found
    submission = rows.submission()
    _check(args, submission, [*rows.problems, *faults(submission, args.mode)])
    _write(args, rows, submission.source)
    print(f"{len(submission.rows)} rows read from {rows.file}")


def _check(args: argparse.Namespace, submission: Submission, found: list[Problem]) -> None:
    record(args.problems, "read", found)
    if any(problem.severity == "error" for problem in found):
        raise StageError("invalid_data", summary(found, submission.place, args.listed), found)
    for problem in found:
        print(f"{problem.severity} {problem.code}: {line(problem)[2:]}")


def _read(source: Source, folder: Path, args: argparse.Namespace) -> Rows | None:
    if source.kind == "csv" and is_json(source):
        return read_json(source)
    return read_table(source, folder, args.sheet or None, args.optional)


def _nothing(source: Source) -> Rows:
    text = f"{source.name} has no meta indicators: nothing is stored."
    return Rows(
        source.name, None, 0, problems=[Problem("no_indicators", text, "warning", source.name)]
    )


def _write(args: argparse.Namespace, rows: Rows, source: dict[str, Any]) -> None:
    """Write all outputs; if one cannot be written, remove the others."""
    runs, values = rows.tables()
    try:
        write_parquet(runs, args.rows)
        write_parquet(values, args.values)
        write_json(args.source, source)
    except BaseException:
        for path in (args.rows, args.values, args.source):
            path.unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    options = parse()
    sys.exit(program.run("read", options.error, lambda: main(options)))
