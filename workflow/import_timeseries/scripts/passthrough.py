"""Stage process where no processing repository is given: the data as they will be stored."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from stagekit import program
from stagekit.problems import Problem, record
from stagekit.tables import read_parquet, write_parquet
from stagekit.units import DIMENSIONLESS, for_platform, stored_differently


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True, help="read's tidy table")
    parser.add_argument("--meta", type=Path, required=True, help="read's meta indicators")
    parser.add_argument("--output", type=Path, required=True, help="the processed data (parquet)")
    parser.add_argument("--processed-meta", type=Path, required=True, help="their meta indicators")
    parser.add_argument("--problems", type=Path, required=True, help="folder of problems.json")
    parser.add_argument("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Write the data sorted and without row numbers, and the meta of scenarios that have data."""
    data = read_parquet(args.input).drop("row")
    meta = read_parquet(args.meta)
    changed = data.filter(pl.col("unit") == DIMENSIONLESS).height
    units = {unit: for_platform(unit) for unit in data["unit"].unique().to_list()}
    data = data.with_columns(pl.col("unit").replace_strict(units, return_dtype=pl.String))
    data = data.sort([name for name in data.columns if name != "value"])
    meta = meta.join(
        data.select("model", "scenario").unique(), on=["model", "scenario"], how="semi"
    )
    problems: list[Problem] = [stored_differently(changed)] if changed else []
    try:
        write_parquet(data, args.output)
        write_parquet(meta.sort("model", "scenario"), args.processed_meta)
        record(args.problems, "process", problems, after=["read", "check"])
    except BaseException:
        args.output.unlink(missing_ok=True)
        args.processed_meta.unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    options = parse()
    sys.exit(program.run("process", options.error, lambda: main(options)))
