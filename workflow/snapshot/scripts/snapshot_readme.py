"""The README in a snapshot: what it is, for whoever finds it."""

from __future__ import annotations

from typing import Any

FORMATS = {
    "parquet": "one row per datapoint, all columns",
    "csv": "one row per datapoint",
    "csv_wide": "one row per timeseries, one column per year; data by date and time in a file of"
    " their own (…-datetime.csv)",
    "xlsx": "as csv_wide, in sheets data and data_datetime, with the indicators in sheet meta",
    "duckdb": "a DuckDB database: tables timeseries, runs, meta, regions, units",
}


def readme(about: dict[str, Any]) -> str:
    """Give the text.

    Parameters
    ----------
    about : dict
        What ``manifest.json`` says; its files need neither size nor checksum.
    """
    counts = about["counts"]
    lines = [
        f"Snapshot of a scenario database, as it was at {about['time']} (UTC)",
        "",
        f"{about['datapoints']:,} datapoints of {counts['timeseries']:,} timeseries:"
        f" {counts['scenarios']:,} scenarios of {counts['models']:,} models,"
        f" {counts['regions']:,} regions, {counts['variables']:,} variables.",
        f"Versions of scenarios: {about['versions']}.",
        *[f"Only {field}: {', '.join(given)}." for field, given in about["filters"].items()],
        "",
        "Files",
        "",
        "  manifest.json  all files with rows, bytes and sha256; all scenarios",
        "  meta.xlsx      meta indicators by model and scenario, regions, units",
    ]
    for name in dict.fromkeys(file["format"] for file in about["files"]):
        files = [file for file in about["files"] if file["format"] == name]
        what = files[0]["path"] if len(files) == 1 else f"data/{name}/ ({len(files):,} files)"
        lines += [f"  {what}", f"                 {FORMATS[name]}"]
    lines += [
        "",
        "Everything was read in one transaction: what was changed meanwhile is not in it. Times of",
        "day are in UTC. Numbers are written so that reading them gives exactly those stored. The",
        "file names of models and scenarios are shortened to plain letters; manifest.json has the",
        "full names.",
    ]
    return "\n".join(lines) + "\n"
