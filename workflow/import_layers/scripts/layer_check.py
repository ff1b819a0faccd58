"""Stage check: names against the platform, shapes against what a map needs; all in one go."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from layer_message import summary
from layer_store import check_store
from stagekit import program
from stagekit.files import whole, write_json
from stagekit.platform_names import read_names
from stagekit.problems import Problem, StageError, record


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--input", type=Path, required=True, help="read's table")
    add("--source", type=Path, required=True, help="read's description")
    add("--output", type=Path, required=True, help="one multipolygon per region (GeoParquet)")
    add("--checked", type=Path, required=True, help="what was found and changed (JSON)")
    add("--problems", type=Path, required=True, help="folder of problems.json")
    add("--name", required=True, help="name of the layer")
    add("--version", help="its version; the next number if none is given")
    add("--job", required=True, help="id of the job")
    add("--store", type=Path, help="the instance's layer store")
    add("--embedded", type=Path, help=f"embedded platform; else ${program.DSN_VARIABLE}")
    add("--name-column", help="column with the names of the regions")
    add("--mapping", default="{}", help="new names (JSON object)")
    add("--mapping-file", type=Path, help="new names: a table with the columns from and to")
    add("--dissolve", action="store_true", help="shapes of one region become one")
    add("--unknown-regions", choices=("refuse", "leave_out", "keep"), default="refuse")
    add("--missing-regions", choices=("allow", "refuse"), default="allow")
    add("--close-gaps", help="close gaps up to this width, such as 100 m")
    add("--listed", type=int, default=program.LISTED, help="problems of a kind in the message")
    add("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Check the layer and record all problems.

    Raises
    ------
    StageError
        ``invalid_layer`` with all problems, if one of them is an error.
    """
    check_store(args.store, args.name, args.version, args.job)
    import geopandas as gpd
    import layer_checking
    import layer_mapping

    source = json.loads(args.source.read_text(encoding="utf-8"))
    table = gpd.read_parquet(args.input)
    mapping = json.loads(args.mapping)
    if args.mapping_file is not None:
        mapping = layer_mapping.read_mapping(args.mapping_file) | mapping
    try:
        regions = _regions(args)
        found = layer_checking.check(table, source, regions, mapping, args)
    except StageError as error:
        record(args.problems, "check", error.problems or [_as_problem(error)])
        raise
    record(args.problems, "check", found.problems)
    errors = [problem for problem in found.problems if problem.severity == "error"]
    if errors:
        raise StageError("invalid_layer", summary(errors, source["file"], args.listed), errors)
    for problem in found.problems:
        print(f"{problem.severity} {problem.code}: {problem.message}")
    with whole(args.output) as temporary:
        found.shapes.to_parquet(temporary, compression="zstd")
    write_json(args.checked, found.document)


def _as_problem(error: StageError) -> Problem:
    return Problem(error.code, error.message)


def _regions(args: argparse.Namespace) -> frozenset[str]:
    dsn = os.environ.get(program.DSN_VARIABLE) or None
    names: Any = read_names(None if args.embedded else dsn, args.embedded)
    if names is None:
        raise StageError(
            "platform_revision",
            "The tables of the platform are of a version of ixmp4 that is not known here, or it is"
            " behind HTTP: its regions cannot be read.",
        )
    regions: frozenset[str] = names.regions
    return regions


if __name__ == "__main__":
    options = parse()
    sys.exit(program.run("check", options.error, lambda: main(options)))
