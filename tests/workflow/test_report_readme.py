"""The job type's README names everything that a person may meet."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
JOB_TYPE = WORKFLOW / "import_timeseries"
README = (JOB_TYPE / "README.md").read_text(encoding="utf-8")


def codes() -> Iterator[str]:
    """Give every code of an error or a problem that is written out in a program."""
    for path in sorted(WORKFLOW.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            if name in ("StageError", "Problem", "problem", "meta_problem"):
                given += node.args[:1]
            for value in given:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value


def test_every_error_code_is_explained() -> None:
    found = set(codes())
    assert len(found) > 30
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", README))
    assert sorted(found - named) == []


@pytest.mark.parametrize("section", ["stages", "inputs", "results", "params"])
def test_every_part_of_the_job_type_is_explained(section: str) -> None:
    job_type = yaml.safe_load((JOB_TYPE / "jobtype.yaml").read_text(encoding="utf-8"))
    schema = yaml.safe_load((JOB_TYPE / job_type["params"]).read_text(encoding="utf-8"))
    names = {
        "stages": list(job_type["stages"]),
        "inputs": job_type["inputs"]["workbook"]["suffixes"],
        "results": [Path(path).name for path in job_type["results"].values()],
        "params": list(schema["properties"]),
    }[section]
    assert names
    assert [name for name in names if name not in README] == []
