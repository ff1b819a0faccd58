"""The example layers are what their script writes, and fit the example platform's regions."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.workflow.layering import Job, add_regions

EXAMPLES = ROOT / "examples"
LAYERS = ("example-layer.geojson", "layer-with-mistakes.geojson")


def test_the_script_writes_the_committed_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    runpy.run_path(str(EXAMPLES / "make_layer.py"))["main"](tmp_path)
    sys.modules.pop("outlines", None)
    for name in LAYERS:
        assert (tmp_path / name).read_bytes() == (EXAMPLES / name).read_bytes()


def test_the_example_has_regions_of_the_example_workflow_and_nothing_to_repair(
    layer_job: Job,
) -> None:
    path = EXAMPLES / "project-workflow" / "definitions" / "region" / "regions.yaml"
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))
    common = [r if isinstance(r, str) else next(iter(r)) for r in groups[0]["common"]]
    assert layer_job.platform is not None
    add_regions(layer_job.platform, common)
    layer_job.name = "example"
    assert layer_job.read(EXAMPLES / LAYERS[0])
    assert layer_job.check(), layer_job.said
    assert layer_job.found("warning") == []
    assert ("antimeridian", "R5REF") in layer_job.found("note")
    checked = json.loads((layer_job.folder / "checked.json").read_text())
    assert checked["missing"] == ["Africa", "Asia", "Europe", "World"]
