"""The page of the report can be opened anywhere, read by everyone and trusted."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from .report_case import Case, problem, processed, submitted


@pytest.fixture
def case(tmp_path: Path, stage_env: Callable[[str], Path]) -> Case:
    return Case(tmp_path, stage_env("report") / "bin/python")


def test_the_page_needs_nothing_from_elsewhere(case: Case) -> None:
    page, _ = case.report(submitted(), processed())

    forbidden = {"script", "link", "img", "iframe", "object", "embed", "image", "base", "form"}
    assert not forbidden & {tag for tag, _ in page.tags}
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = [v for _, attrs in page.tags for k, v in attrs.items() if k in ("href", "src")]
    assert targets
    assert all(target and target[0] == "#" and target[1:] in ids for target in targets)
    assert set(re.findall(r"url\(#?([^)]*)\)", case.html)) <= set(ids)
    assert "@import" not in case.html
    assert not re.search(r"https?://", case.html)
    policy = next(m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in (policy["content"] or "")


def test_names_from_the_file_are_never_markup(case: Case) -> None:
    evil = """<script>alert(1)</script>"'&<b>$x^2$"""
    case.source["file"] = case.job["submitted"]["by"] = evil
    case.source["sheet"] = evil
    case.created = {"regions": [evil], "units": [evil]}
    case.problems = [problem(message=evil, value=evil, column=evil, suggestions=[evil])]
    frame = submitted().with_columns(pl.lit(evil).alias(c) for c in ("model", "region", "unit"))
    frame = frame.with_columns(pl.col("scenario", "variable") + evil)
    other = frame.with_columns(value=pl.col("value") * 2)
    meta = frame.select("model", "scenario").unique().with_columns(pl.lit(evil).alias(evil))
    page, _ = case.report(frame, other, meta)

    assert {"script", "b"} & {tag for tag, _ in page.tags} <= {"b"}
    assert all(attrs == {} for tag, attrs in page.tags if tag == "b")
    assert "<b>$x" not in case.html
    assert page.text.count(evil) > 20


def test_charts_and_tables_can_be_read_by_everyone(case: Case) -> None:
    page, _ = case.report(submitted(), processed())

    headings = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(headings))
    assert len(page.all("table")) == len(page.all("caption")) >= 5
    assert all(attrs.get("scope") for attrs in page.all("th"))
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    labels = [a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a]
    assert set(labels) <= ids
    charts = [a for a in page.all("svg") if a.get("role") == "img"]
    assert len(charts) == len(page.all("figure")) == len(page.all("desc")) == 2
    assert (
        "Line chart of Primary Energy in World, 2020 to 2030. "
        "Aurora, high: from 70 to 105 EJ/yr. Aurora, low: from 70 to 105 EJ/yr." in page.words
    )
    assert next(a for a in page.all("html"))["lang"] == "en"


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_both_themes_have_all_colours_with_enough_contrast(case: Case) -> None:
    case.report(submitted(), processed())

    style = case.html.split("<style>")[1].split("</style>")[0]
    dark_at = style.index("prefers-color-scheme: dark")
    end = style.index("}", style.index("{", style.index("{", dark_at) + 1))
    found = re.compile(r"(--[\w-]+): (#[0-9a-f]{6});")
    light, dark = dict(found.findall(style[:dark_at])), dict(found.findall(style[dark_at:end]))
    assert light.keys() == dark.keys()
    assert set(re.findall(r"var\((--[\w-]+)\)", case.html)) - {"--c"} <= light.keys()
    assert "#0102" not in case.html  # no stand-in colour of a chart is left
    for theme in (light, dark):
        for ground in ("--card", "--bg"):
            assert min(contrast(theme[ground], theme[c]) for c in ("--ink", "--ink-2")) >= 4.5
        assert contrast(theme["--warn-bg"], theme["--warn"]) >= 4.5
        series = [theme[f"--s{i}"] for i in range(1, 9)]
        assert min(contrast(theme["--card"], colour) for colour in series) >= 3
    assert "@media print" in style
