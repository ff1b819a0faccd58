"""LOAD: the optimisation items of one scenario version, from the platform into a file."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from stagekit import files, platform, program
from stagekit.problems import StageError

WRITTEN = ("run", "runmetaentry", "checkpoint", "opt_var", "opt_equ", "opt_idx", "opt_par")


def main(args: argparse.Namespace) -> None:
    """Read the items and write them, or say why there are none."""
    import scenario_items

    dsn = platform.address(args.embedded)
    platform.ready(dsn, embedded=dsn.startswith("sqlite") and args.embedded is not None)
    engine = platform.engine(dsn)
    with platform.explained(dsn):
        platform.check_rights(engine, dsn, WRITTEN)  # before hours of solving, not after
        with engine.connect().execution_options(**_view(dsn)) as connection, connection.begin():
            run = scenario_items.find_run(connection, args.model, args.scenario, args.version)
            items = scenario_items.read_items(connection, run)
    counts = {kind: len(named) for kind, named in items.items() if kind != "run"}
    if not counts["indexsets"] and not counts["scalars"]:
        raise StageError(
            "no_items",
            f"{args.model!r}, {args.scenario!r}, version {run['version']} has no optimisation"
            " items: no index sets, scalars or parameters. Nothing can be solved.",
        )
    items["digest"] = scenario_items.digest(items)
    with files.whole(args.output) as temporary:
        temporary.write_text(json.dumps(items, ensure_ascii=False) + "\n", encoding="utf-8")
    listed = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    print(f"{args.model}, {args.scenario}, version {run['version']}: {listed}")


def _view(dsn: str) -> dict[str, str]:
    return {} if dsn.startswith("sqlite") else {"isolation_level": "REPEATABLE READ"}


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="name on the platform")
    parser.add_argument("--scenario", required=True, help="name on the platform")
    parser.add_argument("--version", type=int, help="without it the default version")
    parser.add_argument("--embedded", type=Path, help="SQLite file of the embedded platform")
    parser.add_argument("--output", type=Path, required=True, help="the items")
    parser.add_argument("--error", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("load", arguments.error, lambda: main(arguments)))
