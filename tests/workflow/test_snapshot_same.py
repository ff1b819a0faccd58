"""Reading a snapshot back gives exactly what ixmp4's own ``tabulate`` gives."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.workflow.snapshots import FORMATS, PLATFORM, Stages, good
from tests.workflow.warm import Warm

KEYS = ["model", "scenario", "version", "region", "variable", "unit", "year", "subannual", "time"]
TYPES = {"version": pl.Int64, "year": pl.Int64, "time": pl.Datetime("us"), "value": pl.Float64}
# small pieces, so that their borders fall everywhere
SMALL = "import snapshot_chunks, snapshot_wide; snapshot_chunks.ROWS = 5; snapshot_wide.CELLS = 4"
SMALL_BATCHES = (
    "import snapshot_facts; snapshot_facts.ROWS = 7\n"
    "import snapshot_source; snapshot_source.BATCH_ROWS = 3; snapshot_source.BATCH_BYTES = 1"
)


def same_shape(frame: pl.DataFrame) -> pl.DataFrame:
    """Give a table with all columns, sorted; where there is one version only, it is left out."""
    frame = frame.rename({name: name.lower() for name in frame.columns})
    missing = [
        pl.lit(None, TYPES.get(n, pl.String)).alias(n) for n in KEYS if n not in frame.columns
    ]
    frame = frame.with_columns(missing).select(*KEYS, "value")
    wanted = {name: TYPES.get(name, pl.String) for name in frame.columns}
    return frame.cast(pl.Schema(wanted)).with_columns(pl.col("unit").fill_null("")).sort(KEYS)


def unpivoted(frames: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Give the long form of wide tables."""
    found = []
    for frame in frames.values():
        index = [n for n in frame.columns if n.lower() in KEYS]
        long = frame.unpivot(index=index, variable_name="step").drop_nulls("value")
        timed = long["step"].str.len_chars().max() > 4
        step = (
            pl.col("step").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us").alias("time")
            if timed
            else pl.col("step").cast(pl.Int64).alias("year")
        )
        found.append(same_shape(long.with_columns(step)))
    return pl.concat(found)


def read_back(data: Path, duckdb: Warm, folder: Path) -> dict[str, pl.DataFrame]:
    """Read each format with a program that knows nothing of ours."""
    wide = {path.name: pl.read_csv(path) for path in (data / "csv_wide").iterdir()}
    sheets = pl.read_excel(data / "xlsx" / "timeseries.xlsx", sheet_id=0)
    assert "meta" in sheets
    csv = pl.read_csv(data / "csv" / "timeseries.csv", schema_overrides={"time": pl.String})
    times = pl.col("time").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us")
    script = folder / "dump.py"
    script.write_text(
        "import duckdb, sys\n"
        "c = duckdb.connect(sys.argv[1], read_only=True)\n"
        "c.execute(f\"COPY timeseries TO '{sys.argv[2]}' (FORMAT parquet)\")\n"
    )
    dumped = folder / "dumped.parquet"
    assert duckdb.run([script, data / "duckdb" / "snapshot.duckdb", dumped]).returncode == 0
    return {
        "parquet": same_shape(pl.read_parquet(data / "parquet" / "timeseries.parquet")),
        "csv": same_shape(csv.with_columns(times)),
        "csv_wide": unpivoted(wide),
        "xlsx": unpivoted({name: frame for name, frame in sheets.items() if name != "meta"}),
        "duckdb": same_shape(pl.read_parquet(dumped)),
    }


@pytest.mark.parametrize("versions", ["default", "all"])
def test_every_format_has_exactly_what_tabulate_gives(
    versions: str, stages: Stages, ixmp4_warm: Warm, tmp_path: Path
) -> None:
    good(stages.view("--versions", versions, patch=SMALL_BATCHES if versions == "all" else ""))
    good(stages.write(*FORMATS, patch=SMALL if versions == "all" else ""))
    table = tmp_path / "tabulated.parquet"
    assert ixmp4_warm.run([PLATFORM, "tabulate", stages.dsn, table, versions]).returncode == 0
    expected = same_shape(pl.read_parquet(table))
    kinds = expected.select(pl.col("year", "subannual", "time").count()).row(0)
    assert all(kinds), "the platform has not all types"
    for name, found in read_back(stages.results / "data", stages.python, tmp_path).items():
        wanted = expected
        if found["version"].null_count():
            assert versions == "default"
            wanted = expected.with_columns(version=pl.lit(None, pl.Int64))
        assert found.sort(KEYS).rows() == wanted.sort(KEYS).rows(), name


def test_a_datapoint_that_is_stored_twice_is_in_every_format_twice(
    stages: Stages, tmp_path: Path
) -> None:
    """Nothing in the platform's schema forbids it for data without parts of years."""
    twice = (
        "import sqlalchemy as sa, os\n"
        "with sa.create_engine(os.environ['JOBRUNNER_PLATFORM_DSN']).begin() as c:\n"
        "    c.execute(sa.text('INSERT INTO iamc_datapoint_universal"
        " (time_series__id, step_year, type, value) SELECT time_series__id, step_year, type, 42"
        " FROM iamc_datapoint_universal WHERE step_year = 2020 AND step_category IS NULL'))\n"
    )
    good(stages.view(patch=twice))
    good(stages.write(*FORMATS, patch=SMALL))
    tables = read_back(stages.results / "data", stages.python, tmp_path)
    doubled = {name: table.filter(pl.col("value") == 42).height for name, table in tables.items()}
    assert set(doubled.values()) == {80 - 16}, doubled  # of all but the run that is no default
    assert len({table.height for table in tables.values()}) == 1
