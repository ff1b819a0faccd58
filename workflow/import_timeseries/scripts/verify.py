"""VERIFY: the processed data against the platform, before anything is written."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from stagekit import files, platform, problems, program
from stagekit.problems import Problem, StageError

BEFORE = ("read", "check", "process")


def main(args: argparse.Namespace) -> None:
    """Check everything that the import needs; write ``verified.json`` if all is well."""
    try:
        create, found = _verify(args)
    except StageError as error:
        problems.record(args.problems, "verify", error.problems, after=BEFORE)
        raise
    problems.record(args.problems, "verify", found, after=BEFORE)
    files.write_json(args.output, {"create": create, "warnings": [p.message for p in found]})
    for kind, names in create.items():
        if names:
            print(f"{len(names)} {kind} will be created: {', '.join(names)}")


def _verify(args: argparse.Namespace) -> tuple[dict[str, list[str]], list[Problem]]:
    dsn = platform.address(args.embedded)
    platform.ready(dsn, embedded=dsn.startswith("sqlite") and args.embedded is not None)
    import pandas as pd
    import verifying
    from stagekit.message import summary

    where = json.loads(args.source.read_text(encoding="utf-8"))
    data, meta = pd.read_parquet(args.input), pd.read_parquet(args.meta)
    with platform.explained(dsn):
        known = platform.names(platform.engine(dsn))
        platform.check_rights(platform.engine(dsn), dsn)
    found = [*verifying.data_problems(data), *verifying.meta_problems(meta)]
    create: dict[str, list[str]] = {"regions": [], "units": []}
    for field, names in (("region", known.regions), ("unit", known.units)):
        unknown = sorted(set(data[field].dropna().unique()) - names)
        if args.create_names:
            create[f"{field}s"] = unknown
        else:
            found += verifying.unknown_names(data, field, unknown, names)
    found = [verifying.in_file(problem, where) for problem in found]
    if any(problem.severity == "error" for problem in found):
        text = summary(found, "the processed data", args.listed)
        raise StageError("data_refused", text, found)
    return create, found


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("input", "meta", "source", "output", "problems"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--embedded", type=Path, help="SQLite file of the embedded platform")
    parser.add_argument("--create-names", action="store_true", help="unknown names are no problem")
    parser.add_argument("--listed", type=int, default=program.LISTED)
    parser.add_argument("--error", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("verify", arguments.error, lambda: main(arguments)))
