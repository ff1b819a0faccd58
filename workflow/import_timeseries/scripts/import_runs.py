"""IMPORT: store the processed data as new versions on the platform, all or nothing, once."""

from __future__ import annotations

import argparse
import json
import sys
from math import isnan
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from stagekit import files, platform, program
from stagekit.problems import StageError

INDEX = ["model", "scenario"]


def main(args: argparse.Namespace) -> None:
    """Store the runs that are not stored yet and write ``import.json``."""
    dsn = platform.address(args.embedded)
    platform.ready(dsn, embedded=dsn.startswith("sqlite") and args.embedded is not None)
    import pandas as pd

    data = pd.read_parquet(args.input)
    if "time" in data.columns and getattr(data["time"].dt, "tz", None) is not None:
        data["time"] = data["time"].dt.tz_convert("UTC").dt.tz_localize(None)
    meta = indicators(args.meta)
    create = json.loads(args.verified.read_text(encoding="utf-8"))["create"]
    if (create["regions"] or create["units"]) and not args.create_names:
        raise StageError(
            "unknown_names", "There are unknown regions or units: run the stage verify again."
        )
    document = _import(dsn, data, meta, create, args)
    files.write_json(args.output, document)


def _import(
    dsn: str, data: Any, meta: dict[Any, Any], create: dict[str, Any], args: argparse.Namespace
) -> dict[str, Any]:
    from stagekit import runs

    parts = {pair: part.drop(columns=INDEX) for pair, part in data.groupby(INDEX)}
    marker = f"jobrunner job={args.job} data={runs.digest(data, meta)[:16]}"

    def attempt() -> tuple[dict[Any, Any], dict[str, list[str]]]:
        with runs.writing(platform.engine(dsn, args.wait), args.wait) as target:
            done = runs.stored(target, marker)
            created = create
            if done:
                print(f"{len(done)} of {len(parts)} runs are stored already", flush=True)
            else:
                created = runs.create_names(target, create["regions"], create["units"])
            for number, (pair, part) in enumerate(parts.items(), start=1):
                if pair not in done:
                    model, scenario = pair
                    print(
                        f"import {number}/{len(parts)} {model} {scenario} {len(part):,} datapoints",
                        flush=True,
                    )
                    done[pair] = runs.write(target, pair, part, meta.get(pair, {}), marker)
        return done, created

    with platform.explained(dsn):
        done, created = runs.retried(attempt)
    return {
        "datapoints": len(data),
        "runs": [
            {
                "id": done[pair].id,
                "model": pair[0],
                "scenario": pair[1],
                "version": done[pair].version,
                "datapoints": len(part),
                "meta": meta.get(pair, {}),
            }
            for pair, part in parts.items()
        ],
        "created": created,
    }


def indicators(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Give the meta indicators of each model and scenario as plain Python values.

    Parameters
    ----------
    path : Path
        ``results/processed_meta.parquet``; empty cells are no indicators.
    """
    import pyarrow.parquet as pq

    found = {}
    for record in pq.read_table(path).to_pylist():
        pair = (record.pop("model"), record.pop("scenario"))
        empty = [n for n, v in record.items() if v is None or (isinstance(v, float) and isnan(v))]
        found[pair] = {name: value for name, value in record.items() if name not in empty}
    return found


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("input", "meta", "verified", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--job", required=True, help="identifier of the job")
    parser.add_argument("--embedded", type=Path, help="SQLite file of the embedded platform")
    parser.add_argument("--create-names", action="store_true")
    parser.add_argument("--wait", type=float, default=1800, help="seconds to wait for a lock")
    parser.add_argument("--error", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("import", arguments.error, lambda: main(arguments)))
