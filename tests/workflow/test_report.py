"""The report says what happened, to everyone, without anything from elsewhere."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from .report_case import Case, problem, processed, submitted

DASH = "\u2013"


@pytest.fixture
def case(tmp_path: Path, stage_env: Callable[[str], Path]) -> Case:
    return Case(tmp_path, stage_env("report") / "bin/python")


def test_page_and_summary_give_the_same_right_figures(case: Case) -> None:
    case.job["processing"] = {"repository": "rules", "commit": "07b25ed" * 5, "entry": "main"}
    case.created = {"regions": ["World", "Aurora|Asia"], "units": ["EJ/yr"]}
    meta = pl.DataFrame(
        {
            "model": ["Aurora", "Aurora"],
            "scenario": ["high", "low"],
            "Category": ["C7", "C1"],
            "Warming": [3.1, 1.45],
            "exclude": [False, True],
        }
    )
    page, summary = case.report(submitted(), processed(), meta)

    assert summary["headline"] == {
        "Scenarios": "2 of 1 model",
        "Datapoints": "16 submitted, 22 stored",
        "Versions created": "2 (Aurora, high: version 2; Aurora, low: version 2)",
    }
    assert summary["submitted"] == {
        "file": "x.xlsx",
        "datapoints": 16,
        "models": 1,
        "scenarios": 2,
        "regions": 2,
        "variables": 2,
        "units": 2,
    }
    assert summary["processed"] == {
        "datapoints": 22,
        "kept": 13,
        "renamed": 8,
        "changed": 1,
        "added": 8,
        "removed": 2,
        "regions": {
            "added": ["World"],
            "removed": [],
            "renamed": [{"model": "Aurora", "from": "Asia", "to": "Aurora|Asia", "datapoints": 8}],
        },
        "variables": {"added": [], "removed": []},
    }
    assert summary["stored"]["datapoints"] == 22
    assert summary["stored"]["versions"][0] == {
        "id": 7,
        "model": "Aurora",
        "scenario": "high",
        "version": 2,
        "datapoints": 10,
    }
    assert summary["created"] == {"regions": ["Aurora|Asia", "World"], "units": ["EJ/yr"]}
    assert (summary["warnings"], summary["report"]) == (0, "results/report.html")

    for said in (
        "22 datapoints stored as new versions of 2 scenarios",
        "16 datapoints submitted",
        "Job 01KAN7Q3ZD Submitted 22 November 2026, 14:00 UTC By jane",
        "Aurora|Asia was Asia 8 8",
        f"World new {DASH} 8 8",
        "Aurora low Europe Primary Energy EJ/yr 2030 75 80",  # the changed value
        "Aurora low 2 8 12 C1 1.45 yes",  # version, run, datapoints, meta
        "2 regions Aurora|Asia World",
    ):
        assert said in page.words
    assert page.words.index("What was submitted") < page.words.index("What was stored")


def test_warnings_come_first_and_are_counted(case: Case) -> None:
    case.problems = [
        problem(message="Asia may be renamed.", value="Asia", rows="2-9", column="C"),
        problem(message="A blank column.", severity="warning", column="Q"),
    ]
    page, summary = case.report(submitted())

    assert (summary["warnings"], summary["notes"]) == (1, 1)
    assert "1 warning" in page.words
    assert page.words.index("warning A blank column. Q") < page.words.index("note Asia may be")
    assert "Asia C 2-9" in page.words


def test_without_processing_nothing_changed(case: Case) -> None:
    frame = submitted().with_columns(unit=pl.lit("dimensionless"))
    page, summary = case.report(frame, frame.with_columns(unit=pl.lit("")))

    assert "named no processing repository: the data were stored as submitted" in page.words
    assert "The file had no meta indicators." in page.words
    assert summary["processed"]["kept"] == summary["processed"]["datapoints"] == 16


def in_time(layout: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give submitted and stored data of one layout."""
    frame = submitted()
    if layout == "subannual":
        halves = pl.DataFrame({"subannual": ["winter", "summer"]})
        frame = frame.join(halves, how="cross").select(
            *frame.columns[:5], "subannual", "year", "value"
        )
        return frame, frame.reverse()
    hours = pl.DataFrame({"hour": [0, 6, 12]})
    stamp = pl.datetime("year", 1, 31, "hour").cast(pl.Datetime("us")).alias("time")
    frame = frame.join(hours, how="cross").select(*frame.columns[:5], stamp, "value")
    if layout == "datetime":
        return frame, frame.with_columns(pl.col("time").dt.replace_time_zone("UTC"))
    # pyam gives times back as a year and text, here in the zone of Vienna
    local = pl.col("time").dt.replace_time_zone("UTC").dt.convert_time_zone("Etc/GMT-1")
    text = local.dt.strftime("%m-%d %H:%M") + "+01:00"
    back = frame.with_columns(
        year=local.dt.year(), subannual=text, region=pl.col("region").cast(pl.Categorical)
    )
    return frame, back.drop("time")


@pytest.mark.parametrize("layout", ["subannual", "datetime", "datetime as pyam returns it"])
def test_every_time_layout_is_understood(case: Case, layout: str) -> None:
    before, after = in_time(layout)
    page, summary = case.report(before, after)

    assert summary["processed"]["kept"] == before.height
    assert summary["processed"]["added"] == summary["processed"]["removed"] == 0
    assert "Aurora high" in page.words
    assert f"2020{DASH}2030 (2)" in page.words
    assert len(page.all("figure")) == 2
    if layout != "subannual":
        assert "2020-01-31 to 2030-01-31 12:00" in page.words


def test_a_thousand_scenarios_stay_readable(case: Case) -> None:
    names = pl.DataFrame({"scenario": [f"scenario {i:04}" for i in range(1000)]})
    frame = submitted().filter(pl.col("scenario") == "low").drop("scenario")
    frame = frame.join(names, how="cross").select(submitted().columns)
    case.problems = [problem(message=f"note {i}", rows="1, " * 999) for i in range(2000)]
    page, summary = case.report(frame, frame.filter(pl.col("region") == "Asia"))

    assert len(summary["stored"]["versions"]) == 1000
    assert len(case.html) < 200_000
    assert "… and 970 more" in page.words
    assert "… and 1,950 more; problems.csv has all." in page.words
    assert "median middle half all scenarios" in page.words
    assert "And 994 more scenarios." in page.words


def test_hourly_data_are_averaged_for_the_chart_only(case: Case) -> None:
    hours = pl.datetime_range(
        dt.datetime(2025, 1, 1), dt.datetime(2025, 12, 31, 23), "1h", eager=True
    )
    frame = pl.DataFrame({"time": hours}).with_columns(
        *(pl.lit(name).alias(name) for name in ("model", "scenario", "region", "variable", "unit")),
        value=pl.int_range(pl.len()).cast(pl.Float64),
    )
    page, summary = case.report(frame)

    assert summary["processed"]["kept"] == 8760
    assert "region, unit (means of 24 values)" in page.words
    assert len(case.html) < 80_000


def test_equal_data_give_equal_files(case: Case) -> None:
    case.report(submitted(), processed())
    first = case.html
    case.report(submitted().reverse(), processed().reverse())
    assert case.html == first


def test_values_that_cannot_be_drawn_are_left_out_of_charts(case: Case) -> None:
    frame = submitted().with_columns(
        value=pl.when(pl.col("variable") == "Population").then(float("inf")).otherwise("value")
    )
    page, _ = case.report(frame)
    assert len(page.all("figure")) == 1


def test_a_failure_leaves_one_error_and_no_report(case: Case) -> None:
    case.write(submitted(), None, None)
    case.path("results/processed.parquet").write_bytes(b"not parquet")
    done = case.run()

    assert done.returncode == 1
    error = json.loads(case.path("logs/report.error.json").read_text())
    assert (error["stage"], error["code"]) == ("report", "stage_failed")
    assert not case.path("results/report.html").exists()
    assert not case.path("results/summary.json").exists()
