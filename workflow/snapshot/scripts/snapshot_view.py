"""Stage view: everything that a snapshot needs, read in one transaction while others write."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

import polars as pl
from snapshot_facts import Counts, export
from snapshot_fits import check_columns, must_fit
from snapshot_selection import Wanted, as_lists, read_runs
from snapshot_source import Source, opened, revision
from snapshot_tables import Tables, select
from stagekit import platform, problems, program
from stagekit.files import whole_folder, write_json
from stagekit.problems import StageError
from stagekit.tables import write_parquet

OTHERS = 7  # columns of a wide table before its years or times
_NOW = {
    "postgresql": "SELECT CAST(clock_timestamp() AT TIME ZONE 'UTC' AS text) AS now",
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now') AS now",
}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for what is read")
    parser.add_argument("--filters", type=json.loads, default={}, help="patterns (JSON)")
    parser.add_argument("--versions", choices=("default", "all"), default="default")
    parser.add_argument("--runs", type=Path, help="only these runs (JSON)")
    parser.add_argument("--formats", nargs="+", default=[], help="what will be written of it")
    parser.add_argument("--split-by", choices=("none", "model", "scenario"), default="none")
    parser.add_argument("--problems", type=Path, required=True, help="folder of problems.json")
    parser.add_argument("--embedded", type=Path, help="SQLite file of the embedded platform")
    parser.add_argument("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Write the view, or say what of it is not there.

    Raises
    ------
    StageError
        If the platform cannot be read, or what is asked for is not there or does not fit.
    """
    try:
        _view(args)
    except StageError as error:
        problems.record(args.problems, "view", error.problems)
        raise
    problems.record(args.problems, "view", [])


def _view(args: argparse.Namespace) -> None:
    runs = read_runs(args.runs) if args.runs else None
    wanted = Wanted(as_lists(args.filters), args.versions, runs)
    dsn = platform.address(args.embedded)
    with opened(dsn) as source, whole_folder(args.output) as folder:
        found = revision(source, dsn)  # the first query: from here on nothing changes
        moment = _moment(source)
        print(f"view of {moment}, tables at revision {found}", flush=True)
        tables = select(source, wanted)
        if tables.series.is_empty():
            raise _empty(wanted, tables)
        must_fit(args.formats, args.split_by, source, tables)
        counts = export(source.facts(tables.condition), tables.series, folder / "facts.parquet")
        if not counts.rows.any():
            raise _empty(wanted, tables)
        if "xlsx" in args.formats:
            check_columns(OTHERS + counts.times["time"].n_unique(), "all data")
        _write(folder, tables, counts)
        write_json(
            folder / "view.json",
            {
                "time": moment,
                "platform": {"kind": source.kind, "revision": found},
                "versions": "as listed" if runs else args.versions,
                "filters": wanted.filters,
                "datapoints": int(counts.rows.sum()),
                "types": {name: number for name, number in counts.types.items() if number},
            },
        )


def _moment(source: Source) -> str:
    """Give the database's own time, RFC 3339 in UTC."""
    text = source.table(_NOW[source.kind], {"now": pl.String}).item()
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _write(folder: Path, tables: Tables, counts: Counts) -> None:
    """Write the small tables; timeseries without datapoints stay out of all counts."""
    series = tables.series.with_columns(pl.Series("rows", counts.rows))
    write_parquet(series.drop("id"), folder / "series.parquet")
    for name in ("runs", "regions", "measurands", "units", "meta"):
        write_parquet(getattr(tables, name), folder / f"{name}.parquet")
    write_parquet(counts.years.sort("run", "year"), folder / "years.parquet")
    write_parquet(counts.times.sort("run", "time"), folder / "times.parquet")


def _empty(wanted: Wanted, tables: Tables) -> StageError:
    asked: Any = dict(wanted.filters)
    if wanted.runs is not None:
        message = "The runs that are asked for have no datapoints"
    elif wanted.versions == "default":
        message = 'The platform has no datapoints in default versions; `versions: "all"` takes all'
    else:
        message = "The platform has no datapoints"
    if asked:
        message += f" that match all of {json.dumps(asked, ensure_ascii=False)} together"
    return StageError("nothing_selected", f"{message}. ({tables.runs.height:,} runs match.)")


if __name__ == "__main__":
    arguments = parse()
    sys.exit(program.run("view", arguments.error, lambda: main(arguments)))
