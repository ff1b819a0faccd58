"""The README of import_layers names everything that a person may meet."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

JOB_TYPE = ROOT / "workflow" / "import_layers"
README = (JOB_TYPE / "README.md").read_text(encoding="utf-8")


def codes() -> Iterator[str]:
    """Give every code of an error or a problem that is written out in a program."""
    for path in sorted((JOB_TYPE / "scripts").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                first = node.args[0]
                if name in ("StageError", "Problem", "problem") and isinstance(first, ast.Constant):
                    yield str(first.value)


def test_every_code_is_explained() -> None:
    found = set(codes())
    assert len(found) > 30
    named = set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)*)`", README))
    assert sorted(found - named) == []


@pytest.mark.parametrize("section", ["stages", "inputs", "results", "params"])
def test_every_part_of_the_job_type_is_explained(section: str) -> None:
    job_type = yaml.safe_load((JOB_TYPE / "jobtype.yaml").read_text(encoding="utf-8"))
    schema = yaml.safe_load((JOB_TYPE / "params.schema.yaml").read_text(encoding="utf-8"))
    suffixes = [suffix for one in job_type["inputs"].values() for suffix in one["suffixes"]]
    names = {
        "stages": [f"`{name}`" for name in job_type["stages"]],
        "inputs": [f"`{suffix}`" for suffix in suffixes],
        "results": [f"`{Path(path).name}`" for path in job_type["results"].values()],
        "params": [f"`{name}`" for name in schema["properties"]],
    }[section]
    assert names
    assert [name for name in names if name not in README] == []
