"""Small imports for the tests of the report: files that its stage reads, and the page parsed."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl

SCRIPT = Path(__file__).resolve().parents[2] / "workflow/import_timeseries/scripts/report.py"
SERIES = ["model", "scenario", "region", "variable", "unit"]
YEARS = (2020, 2030)
VOID = {"meta", "br", "link", "img", "input", "hr", "base"}


def rows(*values: tuple[str, str, str, str, str, int, float]) -> pl.DataFrame:
    """Make a yearly table from tuples."""
    return pl.DataFrame(values, schema=[*SERIES, "year", "value"], orient="row")


def submitted() -> pl.DataFrame:
    """Two native regions, two variables, two scenarios."""
    return rows(
        *(
            ("Aurora", scenario, region, variable, unit, year, factor * (year - 2000))
            for scenario in ("low", "high")
            for region, factor in (("Asia", 1.0), ("Europe", 2.5))
            for variable, unit in (("Primary Energy", "EJ/yr"), ("Population", "million"))
            for year in YEARS
        )
    )


def processed() -> pl.DataFrame:
    """Asia renamed, World added as the sum, one value changed, one series removed."""
    frame = submitted()
    world = frame.group_by("model", "scenario", "variable", "unit", "year").agg(
        pl.col("value").sum()
    )
    world = world.with_columns(region=pl.lit("World")).select(frame.columns)
    asia = pl.when(pl.col("region") == "Asia").then(pl.lit("Aurora|Asia"))
    frame = frame.with_columns(region=asia.otherwise(pl.col("region")))
    europe = pl.col("region") == "Europe"
    gone = europe & (pl.col("scenario") == "high") & (pl.col("variable") == "Population")
    low = europe & (pl.col("scenario") == "low") & (pl.col("year") == 2030)
    one = low & (pl.col("variable") == "Primary Energy")
    frame = frame.filter(~gone).with_columns(
        value=pl.when(one).then(80.0).otherwise(pl.col("value"))
    )
    return pl.concat([frame, world])


def problem(**values: object) -> dict[str, Any]:
    """Make a row of the problem table."""
    return {
        "stage": "check",
        "code": "x",
        "message": "",
        "severity": "note",
        "file": "x.xlsx",
        "sheet": "data",
        "row": None,
        "rows": None,
        "column": None,
        "field": None,
        "value": None,
        "suggestions": [],
        "count": 1,
    } | values


@dataclass
class Page(HTMLParser):
    """What is needed of the page to check it."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""
    unclosed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.unclosed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if not self.unclosed or self.unclosed[-1] != "style":
            self.text += data + "\0"

    def all(self, *names: str) -> list[dict[str, str | None]]:
        """Give the attributes of all elements of these names."""
        return [attrs for tag, attrs in self.tags if tag in names]

    @property
    def words(self) -> str:
        """The text with single spaces, also between elements."""
        return " ".join(self.text.replace("\0", " ").split())


class Case:
    """A job directory with what the earlier stages left, and the report made from it."""

    def __init__(self, directory: Path, python: Path) -> None:
        self.directory, self.python = directory, python
        self.job: dict[str, Any] = {
            "id": "01KAN7Q3ZD",
            "type": "import_timeseries",
            "release": {"label": "1.4.0", "digest": "sha256:0f3c"},
            "instance": "default",
            "profile": "local",
            "submitted": {"at": "2026-11-22T14:00:00Z", "by": "jane"},
            "inputs": {"workbook": {"path": "input/x.xlsx", "sha256": "ab12", "bytes": 184732}},
            "params": {},
        }
        self.source: dict[str, Any] = {"file": "x.xlsx", "sheet": "data", "meta_sheet": None}
        self.problems: list[dict[str, Any]] = []
        self.created: dict[str, list[str]] = {"regions": [], "units": []}

    def write(
        self, submitted: pl.DataFrame, stored: pl.DataFrame | None, meta: pl.DataFrame | None
    ) -> None:
        """Write the files of the earlier stages."""
        stored = submitted if stored is None else stored
        for folder in ("work", "results", "logs"):
            (self.directory / folder).mkdir(exist_ok=True)
        numbered = submitted.with_row_index("row", offset=2)
        numbered.select(*submitted.columns, "row").write_parquet(self.path("work/data.parquet"))
        stored.write_parquet(self.path("results/processed.parquet"))
        counts = stored.group_by("model", "scenario").len().sort("model", "scenario")
        meta = counts.select("model", "scenario").clear() if meta is None else meta
        meta.write_parquet(self.path("results/processed_meta.parquet"))
        indicators = {(m["model"], m["scenario"]): m for m in meta.to_dicts()}
        runs = []
        for i, (model, scenario, n) in enumerate(counts.rows(), start=7):
            kept = dict(list(indicators.get((model, scenario), {}).items())[2:])
            run = {"id": i, "model": model, "scenario": scenario, "version": 2}
            runs.append({**run, "datapoints": n, "meta": kept})
        imported = {"datapoints": stored.height, "runs": runs, "created": self.created}
        for name, document in {
            "job.yaml": self.job,  # JSON is YAML
            "work/source.json": self.source,
            "work/verified.json": {"create": self.created, "warnings": 0},
            "results/import.json": imported,
            "results/problems.json": self.problems,
        }.items():
            self.path(name).write_text(json.dumps(document), encoding="utf-8")

    def path(self, name: str) -> Path:
        """Give a path in the job directory."""
        return self.directory / name

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run the stage's program as its rule does."""
        options = {
            "data": "work/data.parquet",
            "processed": "results/processed.parquet",
            "processed-meta": "results/processed_meta.parquet",
            "imported": "results/import.json",
            "verified": "work/verified.json",
            "source": "work/source.json",
            "problems": "results/problems.json",
            "job": "job.yaml",
            "output": "results/report.html",
            "summary": "results/summary.json",
            "error": "logs/report.error.json",
        }
        command = [str(self.python), str(SCRIPT)]
        for name, value in options.items():
            command += [f"--{name}", value]
        return subprocess.run(
            command, cwd=self.directory, capture_output=True, text=True, check=False
        )

    def report(
        self,
        submitted: pl.DataFrame,
        stored: pl.DataFrame | None = None,
        meta: pl.DataFrame | None = None,
    ) -> tuple[Page, dict[str, Any]]:
        """Make the report; give the parsed page and the summary."""
        self.write(submitted, stored, meta)
        done = self.run()
        assert done.returncode == 0, done.stderr
        page = Page()
        page.feed(self.html)
        assert page.unclosed == []
        return page, json.loads(self.path("results/summary.json").read_text(encoding="utf-8"))

    @property
    def html(self) -> str:
        """The page as written."""
        return self.path("results/report.html").read_text(encoding="utf-8")
